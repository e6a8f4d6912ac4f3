/// The formats a scrape may be answered in.
package enum ScrapeFormat: Hashable, Sendable {
    /// `text/plain; version=0.0.4`.
    case text
    /// `text/plain; version=1.0.0`: the same with quoted UTF-8 names allowed, which Crest never needs.
    case textWithQuotedNames
    /// `application/openmetrics-text; version=1.0.0`.
    case openMetrics
    /// `application/vnd.google.protobuf`, length-delimited `io.prometheus.client.MetricFamily` messages.
    case protobuf
}

/// What a client's `Accept` and `Accept-Encoding` headers come to.
///
/// The clause with the highest q that names a format Crest has wins, the first of equals; unknown parameters, also
/// repeated ones, are ignored; `q=0` excludes; without a usable clause it is text 0.0.4.
/// Source: schemas/wire/prometheus-text.md, "Negotiation".
package struct ScrapeNegotiation: Hashable, Sendable {
    package var format: ScrapeFormat
    /// The value of the `escaping` parameter in the answer; nil when the client named none.
    package var escaping: String?
    package var usesGzip: Bool

    package init(accept: String?, acceptEncoding: String?) {
        let clauses = MediaClause.list(accept ?? "").filter { $0.quality > 0 }
        let best = clauses.enumerated().sorted { left, right in
            (right.element.quality, left.offset) < (left.element.quality, right.offset)
        }
        format = .text
        for (_, clause) in best {
            guard let found = Self.format(of: clause) else { continue }
            format = found
            // All names are plain already, so that every scheme but `dots` leaves them as they are.
            escaping = clause["escaping"].map { $0 == "allow-utf-8" || $0 == "values" ? $0 : "underscores" }
            break
        }
        usesGzip = MediaClause.list(acceptEncoding ?? "").contains {
            ($0.type == "gzip" || $0.type == "x-gzip") && $0.quality > 0
        }
    }

    private static func format(of clause: MediaClause) -> ScrapeFormat? {
        if clause.type == "application/vnd.google.protobuf" {
            let isFamily = clause["proto"] == nil || clause["proto"] == "io.prometheus.client.MetricFamily"
            return isFamily && (clause["encoding"] ?? "delimited") == "delimited" ? .protobuf : nil
        }
        return switch (clause.type, clause["version"]) {
        case ("text/plain", nil), ("text/plain", "0.0.4"), ("text/*", _), ("*/*", _): .text
        case ("text/plain", "1.0.0"): .textWithQuotedNames
        case ("application/openmetrics-text", nil), ("application/openmetrics-text", "1.0.0"),
            ("application/*", _):
            .openMetrics
        default: nil
        }
    }

    package var contentType: String {
        let type =
            switch format {
            case .text: "text/plain; version=0.0.4; charset=utf-8"
            case .textWithQuotedNames: "text/plain; version=1.0.0; charset=utf-8"
            case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
            case .protobuf:
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        guard let escaping else { return type }
        return "\(type); escaping=\(escaping)"
    }
}

/// One element of an `Accept` or `Accept-Encoding` header.
struct MediaClause: Hashable, Sendable {
    /// Lower case.
    var type: String
    /// Names in lower case, `q` left out; a repeated name keeps its first value.
    var parameters: [String: String] = [:]
    var quality = 1.0

    subscript(_ name: String) -> String? { parameters[name] }

    static func list(_ header: String) -> [MediaClause] {
        header.split(separator: ",").compactMap { MediaClause(String($0)) }
    }

    private init?(_ text: String) {
        let parts = text.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)
        guard let type = parts.first, !type.isEmpty else { return nil }
        self.type = type.lowercased()
        for part in parts.dropFirst() {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let name = Self.trimmed(part[..<equals]).lowercased()
            var value = Self.trimmed(part[part.index(after: equals)...])
            if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") {
                value = value.dropFirst().dropLast()
            }
            if name == "q" {
                quality = Double(value).flatMap { $0 >= 0 && $0 <= 1 ? $0 : nil } ?? 0
            } else if parameters[name] == nil {
                parameters[name] = String(value)
            }
        }
    }

    private static func trimmed(_ text: some StringProtocol) -> Substring {
        var rest = Substring(text)
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return rest
    }
}
