internal import Telemetry

/// Functions and aggregations.
extension PromParser {
    mutating func call() throws(PromParseError) -> Int {
        let start = peek.range.lowerBound
        let name = spelled(peek)
        guard let function = PromFunction(rawValue: name) else {
            let isKnown = PromFunction.unsupported.contains(name)
            throw error(isKnown ? "function \"\(name)\" is not supported" : "unknown function with name \"\(name)\"")
        }
        advance()
        let arguments = try arguments()
        let signature = function.signature
        try checkCount(arguments.count, signature, name, at: start)
        for (index, argument) in arguments.enumerated() {
            let wanted = signature.arguments[min(index, signature.arguments.count - 1)]
            try expectType(wanted, of: argument, in: "call to function \"\(name)\"")
        }
        return try add(.call(function, arguments), signature.result, from: start, children: arguments)
    }

    private func checkCount(
        _ count: Int, _ signature: PromFunction.Signature, _ name: String, at start: Int
    ) throws(PromParseError) {
        let most = signature.arguments.count
        let least = most - signature.optional
        guard count < least || (count > most && !signature.repeatsLast) else { return }
        let wanted =
            least == most && !signature.repeatsLast
            ? "\(most)" : count < least ? "at least \(least)" : "at most \(most)"
        throw error("expected \(wanted) argument(s) in call to \"\(name)\", got \(count)", at: start)
    }

    /// `(a, b)`, from the opening parenthesis on.
    private mutating func arguments() throws(PromParseError) -> [Int] {
        try expect("(", in: "arguments")
        var list: [Int] = []
        if take(")") { return list }
        while true {
            guard list.count < Limits.queryArguments else {
                throw error("more than \(Limits.queryArguments) arguments")
            }
            list.append(try expression(above: 0))
            if take(")") { return list }
            try expect(",", in: "arguments")
            if looksAt(")") { throw error("trailing commas not allowed in function call args") }
        }
    }

    func expectType(_ wanted: PromType, of node: Int, in place: String) throws(PromParseError) {
        let type = nodes[node].type
        guard type != wanted else { return }
        throw error("expected type \(wanted.title) in \(place), got \(type.title)", at: start(of: node))
    }

    /// `sum by (a) (x)`, `sum(x) by (a)`, `topk(3, x)`.
    mutating func aggregation() throws(PromParseError) -> Int {
        let start = peek.range.lowerBound
        guard let word = keyword, let operation = PromAggregator(rawValue: word) else {
            throw unexpected("an aggregation")
        }
        advance()
        var aggregation = PromAggregation(operation: operation, operand: 0)
        let isGrouped = try grouping(of: &aggregation)
        let arguments = try arguments()
        if !isGrouped { _ = try grouping(of: &aggregation) }
        let wanted = operation.parameterType == nil ? 1 : 2
        guard let operand = arguments.last else {
            throw error("no arguments for aggregate expression provided", at: start)
        }
        guard arguments.count == wanted else {
            let message = "wrong number of arguments for aggregate expression provided"
            throw error("\(message), expected \(wanted), got \(arguments.count)", at: start)
        }
        try expectType(.vector, of: operand, in: "aggregation expression")
        aggregation.operand = operand
        if let type = operation.parameterType {
            aggregation.parameter = arguments[0]
            try expectType(type, of: arguments[0], in: "aggregation parameter")
        }
        return try add(.aggregation(aggregation), .vector, from: start, children: arguments)
    }

    private mutating func grouping(of aggregation: inout PromAggregation) throws(PromParseError) -> Bool {
        guard let word = keyword, word == "by" || word == "without" else { return false }
        advance()
        aggregation.isWithout = word == "without"
        aggregation.labels = try labelList()
        return true
    }

    /// `(a, b)`; empty and with a comma at the end too.
    mutating func labelList() throws(PromParseError) -> [String] {
        try expect("(", in: "grouping opts")
        var names: [String] = []
        while !looksAt(")") {
            guard names.count < Limits.queryMatchers else { throw error("more than \(Limits.queryMatchers) labels") }
            names.append(try labelName(in: "grouping opts"))
            if !take(",") { break }
        }
        try expect(")", in: "grouping opts")
        return names
    }
}
