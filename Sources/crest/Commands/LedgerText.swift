/// The ledger for people: each group under the equation that it must satisfy.
enum LedgerText {
    /// What must hold, in the words of the answer. A part of the answer that is not named here is shown as it is.
    private static let equations: [String: String] = [
        "datagrams": "sent = received + droppedByKernel, received = handled + truncated",
        "lines": "seen = applied + rejected",
        "spans": "received = stored - storedBefore + duplicate + rejected + inFlight",
        "sources": "produced = received + lost + droppedInClient",
        "store": "stored = live + expired + thinned + deleted + merged + quarantined + lost",
    ]

    static func lines(_ ledger: JSONValue, style: Style) -> [String] {
        var lines: [String] = []
        for (name, value) in ledger.members {
            guard case .object = value else { continue }
            lines += group(name, value, style)
            for (part, inner) in value.members where isGroup(part, inner) { lines += group(part, inner, style) }
        }
        let scalars = ledger.members.filter { $0.key != "balanced" && $0.value.text != nil }
        if !scalars.isEmpty {
            lines += NestedText.aligned(scalars.map { ($0.key, $0.value.text ?? "") }, indent: "") + [""]
        }
        switch ledger["balanced"]?.boolean {
        case true: lines.append("balanced: " + style.green("yes"))
        case false: lines.append("balanced: " + style.red("no"))
        case nil: lines.append("balanced: unknown")
        }
        return lines
    }

    /// An object that is no list of counts by reason or class.
    private static func isGroup(_ name: String, _ value: JSONValue) -> Bool {
        guard case .object = value else { return false }
        return equations[name] != nil
    }

    private static func group(_ name: String, _ value: JSONValue, _ style: Style) -> [String] {
        let isWrong = value["balanced"]?.boolean == false || (value["difference"]?.integer ?? 0) != 0
        var lines = [style.bold(SafeText.escape(name)) + (isWrong ? style.red("  does not balance") : "")]
        if let equation = equations[name] { lines.append("  " + style.dim(equation)) }
        return lines + NestedText.aligned(terms(value), indent: "  ") + [""]
    }

    /// The terms of a group. Counts by reason or class follow their sum; those of zero are left out.
    private static func terms(_ group: JSONValue) -> [(String, String)] {
        var terms: [(String, String)] = []
        for (name, value) in group.members where name != "balanced" && !isGroup(name, value) {
            if case .array = value { continue }
            guard case .object = value else {
                terms.append((name, value.text ?? "-"))
                continue
            }
            let parts = NestedText.flattened(value, prefix: "")
            terms.append((name, String(parts.reduce(Int64(0)) { $0 &+ (Int64($1.1) ?? 0) })))
            terms += parts.filter { $0.1 != "0" }.map { ("  " + $0.0, $0.1) }
        }
        return terms
    }
}
