/// A trace of three spans, as an OTLP/JSON export request.
struct TestTrace {
    let id: String
    let request: JSONValue

    private static let millisecond: Int64 = 1_000_000

    init(service: String, name: String, error: String?, now: Int64) {
        let id = Self.randomHex(words: 2)
        let spanIDs = (0..<3).map { _ in Self.randomHex(words: 1) }
        let start = now - 20 * Self.millisecond
        let spans = [
            Self.span(id, spanIDs[0], parent: nil, name, kind: 2, start, milliseconds: 20, nil),
            Self.span(
                id, spanIDs[1], parent: spanIDs[0], "prepare", kind: 1, start + Self.millisecond, milliseconds: 6, nil),
            Self.span(
                id, spanIDs[2], parent: spanIDs[0], "finish", kind: 3, start + 8 * Self.millisecond,
                milliseconds: 11, error),
        ]
        self.id = id
        let resource = JSONValue.object([("attributes", .array([Self.attribute("service.name", service)]))])
        let scope = JSONValue.object([("name", .string("crest")), ("version", .string(Version.text))])
        let scopeSpans = JSONValue.object([("scope", scope), ("spans", .array(spans))])
        request = .object([
            ("resourceSpans", .array([.object([("resource", resource), ("scopeSpans", .array([scopeSpans]))])]))
        ])
    }

    private static func span(
        _ traceID: String, _ spanID: String, parent: String?, _ name: String, kind: Int, _ start: Int64,
        milliseconds: Int64, _ error: String?
    ) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = [
            ("traceId", .string(traceID)), ("spanId", .string(spanID)), ("name", .string(name)),
            ("kind", .number(String(kind))), ("startTimeUnixNano", .string(String(start))),
            ("endTimeUnixNano", .string(String(start + milliseconds * millisecond))),
            ("attributes", .array([attribute("crest.test", "true")])),
        ]
        if let parent { members.append(("parentSpanId", .string(parent))) }
        if let error {
            members.append(("status", .object([("code", .number("2")), ("message", .string(error))])))
        }
        return .object(members)
    }

    private static func attribute(_ key: String, _ value: String) -> JSONValue {
        .object([("key", .string(key)), ("value", .object([("stringValue", .string(value))]))])
    }

    /// Random words of 64 bits, none of them zero.
    private static func randomHex(words: Int) -> String {
        (0..<words).map { _ in
            let text = String(UInt64.random(in: 1...UInt64.max), radix: 16)
            return String(repeating: "0", count: 16 - text.count) + text
        }.joined()
    }
}
