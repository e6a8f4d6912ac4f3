/// The last five minutes of series as bars, from the recorder: what a value alone does not tell.
struct RecentBars {
    private static let seconds: Int64 = 300
    private static let widest = 20

    /// By `name{labels}`.
    private let texts: [String: String]

    /// Nothing is recorded of these series, or at all.
    var isEmpty: Bool { texts.isEmpty }

    subscript(identity: String) -> String { texts[identity] ?? "" }

    static let none = RecentBars(texts: [:])

    private init(texts: [String: String]) { self.texts = texts }

    /// Asks for the bars of one metric's series. A server that records nothing is no failure.
    /// - Parameter conditions: `label` parameters, as for the values.
    init(of name: String, _ conditions: [(name: String, value: String)], from connection: Server) async {
        let end = TimestampText.now() / 1_000_000_000
        let query = [
            (name: "name", value: name), ("from", "\(end - Self.seconds + 1)"), ("to", "\(end)"), ("step", "5s"),
            ("limit", "1000"),
        ]
        do {
            let answer = try await connection.get("/api/crest/v1/series/range", query + conditions)
            texts = RangeTable(answer, terminal: .current(), widest: Self.widest).bars(answer["series"]?.items ?? [])
        } catch { texts = [:] }
    }
}
