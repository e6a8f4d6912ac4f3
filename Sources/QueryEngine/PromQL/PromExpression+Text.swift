/// The expression as text again: every binary operator in parentheses, units spelled out, comments gone. Reads back as
/// the same expression.
extension PromExpression: CustomStringConvertible {
    package var description: String { text(root) }

    private func text(_ node: Int) -> String {
        switch nodes[node].kind {
        case .number(let value): PromNumberText.text(value)
        case .string(let value): value.promQuoted
        case .instant(let selector): selector.text(range: "")
        case .range(let selector, let width): selector.text(range: "[\(Self.duration(width))]")
        case .negation(let operand): "-" + text(operand)
        case .call(let function, let list): "\(function.rawValue)(\(list.map(text).joined(separator: ", ")))"
        case .binary(let binary): "(\(text(binary.left)) \(binary.operatorText) \(text(binary.right)))"
        case .aggregation(let aggregation):
            "\(aggregation.operation.rawValue)\(aggregation.groupingText)"
                + "(\(aggregation.parameter.map { text($0) + ", " } ?? "")\(text(aggregation.operand)))"
        }
    }

    static func duration(_ milliseconds: Int64) -> String {
        let number = milliseconds % 1_000 == 0 ? "\(milliseconds.magnitude / 1_000)s" : "\(milliseconds.magnitude)ms"
        return (milliseconds < 0 ? "-" : "") + number
    }
}

extension PromSelector {
    fileprivate func text(range: String) -> String {
        var list = matchers[...]
        var text = ""
        if let first = list.first, first.name == "__name__", first.kind == .equal {
            text = first.value
            list = list.dropFirst()
        }
        if !list.isEmpty { text += "{" + list.map(\.text).joined(separator: ",") + "}" }
        text += range
        switch at {
        case .time(let time): text += " @ " + PromNumberText.decimal(Double(time) / 1_000)
        case .start: text += " @ start()"
        case .end: text += " @ end()"
        case nil: break
        }
        return text + (offset.map { " offset " + PromExpression.duration($0) } ?? "")
    }
}

extension LabelMatcher {
    fileprivate var text: String {
        let mark =
            switch kind {
            case .equal: "="
            case .notEqual: "!="
            case .matches: "=~"
            case .matchesNot: "!~"
            }
        return name + mark + value.promQuoted
    }
}

extension PromBinary {
    fileprivate var operatorText: String {
        var text = operation.rawValue + (returnsBool ? " bool" : "")
        let isExplicit = matching.cardinality != .oneToOne
        if matching.isOn || !matching.labels.isEmpty || isExplicit {
            text += " \(matching.isOn ? "on" : "ignoring") (\(matching.labels.joined(separator: ", ")))"
        }
        guard isExplicit else { return text }
        let side = matching.cardinality == .manyToOne ? "group_left" : "group_right"
        return text + " \(side) (\(matching.included.joined(separator: ", ")))"
    }
}

extension PromAggregation {
    fileprivate var groupingText: String {
        guard isWithout || !labels.isEmpty else { return "" }
        return " \(isWithout ? "without" : "by") (\(labels.joined(separator: ", "))) "
    }
}
