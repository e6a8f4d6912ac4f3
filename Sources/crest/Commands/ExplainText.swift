/// The answer to "what becomes of this line" as text.
enum ExplainText {
    static func isRejected(_ answer: JSONValue) -> Bool {
        (answer["lines"]?.items ?? []).contains { line in
            line["outcome"]?.text == "rejected"
                || (line["series"]?.items ?? []).contains { $0["outcome"]?.text == "rejected" }
        }
    }

    static func lines(_ answer: JSONValue) -> [String] {
        (answer["lines"]?.items ?? []).flatMap(line)
    }

    private static func line(_ line: JSONValue) -> [String] {
        var text = [safe(line["line"])]
        switch line["outcome"]?.text {
        case "rejected":
            if let offset = line["offset"]?.integer, offset < 200 {
                text.append(String(repeating: " ", count: Int(offset)) + "^")
            }
            text.append("rejected    " + reason(line))
            return text
        case "event":
            text.append("accepted    an event: counted, and nothing is kept of it")
            return text
        default: break
        }
        text.append("dialect     " + safe(line["dialect"]))
        text.append("name        " + identity(line))
        for sample in line["samples"]?.items ?? [] { text.append("sample      " + describe(sample)) }
        for series in line["series"]?.items ?? [] { text += describe(series: series) }
        return text
    }

    private static func describe(_ sample: JSONValue) -> String {
        var text = safe(sample["type"])
        if let value = sample["value"]?.float { text += " " + NumberText.format(value) }
        if let member = sample["member"] { text += " member " + safe(member) }
        if let weight = sample["weight"]?.float { text += ", stands for " + NumberText.format(weight) }
        if sample["isChange"]?.boolean == true { text += ", a change" }
        return text
    }

    private static func describe(series: JSONValue) -> [String] {
        var text: [String] = []
        for step in series["steps"]?.items ?? [] {
            let stage = safe(step["stage"])
            text.append(stage + String(repeating: " ", count: max(1, 12 - stage.count)) + safe(step["rule"]))
            text.append("            -> " + (step["name"] == nil ? "dropped" : identity(step)))
        }
        guard series["outcome"]?.text == "series" else { return text + ["rejected    " + reason(series)] }
        text.append(
            "series      " + SafeText.escape(SeriesTable.identity(series["name"]?.text ?? "", series["labels"])))
        var details = safe(series["metricType"])
        if let scale = series["scale"]?.float { details += ", values times " + NumberText.format(scale) }
        if let unit = series["unit"] { details += ", in " + safe(unit) }
        details += series["isKnown"]?.boolean == true ? ", known" : ", new"
        if series["isOverflow"]?.boolean == true { details += ", beyond a limit: goes to the overflow series" }
        text.append("            " + details)
        if let counter = series["counter"] { text.append("counted in  " + safe(counter)) }
        return text
    }

    private static func reason(_ value: JSONValue) -> String {
        safe(value["reason"]) + ": " + safe(value["meaning"])
    }

    private static func identity(_ value: JSONValue) -> String {
        let tags = (value["tags"]?.items ?? []).map { safe($0["key"]) + "=" + safe($0["value"]) }
        return tags.isEmpty ? safe(value["name"]) : safe(value["name"]) + "  " + tags.joined(separator: " ")
    }

    private static func safe(_ value: JSONValue?) -> String { SafeText.escape(value?.text ?? "") }
}
