/// What stands behind a binary operator, and what may stand on its sides.
extension PromParser {
    /// Reads `bool`, `on`, `ignoring`, `group_left` and `group_right`.
    /// - Returns: whether labels to match were named.
    mutating func modifiers(of binary: inout PromBinary) throws(PromParseError) -> Bool {
        if keyword == "bool" {
            guard binary.operation.isComparison else {
                throw error("bool modifier can only be used on comparison operators")
            }
            binary.returnsBool = true
            advance()
        }
        guard let word = keyword, word == "on" || word == "ignoring", peekSecond.kind == .symbol("(") else {
            return false
        }
        advance()
        binary.matching.isOn = word == "on"
        binary.matching.labels = try labelList()
        guard let side = keyword, side == "group_left" || side == "group_right" else { return true }
        if binary.operation.isSetOperator {
            throw error("no grouping allowed for \"\(binary.operation.rawValue)\" operation")
        }
        let place = peek.range.lowerBound
        advance()
        binary.matching.cardinality = side == "group_left" ? .manyToOne : .oneToMany
        if looksAt("(") { binary.matching.included = try labelList() }
        if binary.matching.isOn, let both = binary.matching.included.first(where: binary.matching.labels.contains) {
            throw error("label \"\(both)\" must not occur in ON and GROUP clause at once", at: place)
        }
        return true
    }

    mutating func checked(
        _ binary: PromBinary, hasMatching: Bool, operatorAt place: Int
    ) throws(PromParseError) -> Int {
        let (left, right) = (nodes[binary.left].type, nodes[binary.right].type)
        for (type, node) in [(left, binary.left), (right, binary.right)] where type != .scalar && type != .vector {
            let message = "binary expression must contain only scalar and instant vector types"
            throw error(message, at: start(of: node))
        }
        let areScalars = left == .scalar && right == .scalar
        if areScalars, binary.operation.isComparison, !binary.returnsBool {
            throw error("comparisons between scalars must use BOOL modifier", at: place)
        }
        if left == .scalar || right == .scalar {
            if binary.operation.isSetOperator {
                let name = binary.operation.rawValue
                throw error("set operator \"\(name)\" not allowed in binary scalar expression", at: place)
            }
            if hasMatching, !binary.matching.labels.isEmpty {
                throw error("vector matching only allowed between instant vectors", at: place)
            }
        }
        return try add(
            .binary(binary), areScalars ? .scalar : .vector, from: start(of: binary.left),
            children: [binary.left, binary.right])
    }
}
