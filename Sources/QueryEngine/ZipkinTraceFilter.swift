package import Telemetry

/// Zipkin's search conditions: each must be met by some span of the trace, not all by the same one. With a service
/// given only that service's spans count. Names compare without case.
///
/// Source: schemas/query/zipkin.md, "Search".
package struct ZipkinTraceFilter: Hashable, Sendable {
    /// One condition on tags and annotations.
    package struct Term: Hashable, Sendable {
        package var key: String
        /// Nil: a tag of that key, or an annotation of that text.
        package var value: String?

        package init(_ key: String, _ value: String?) {
            self.key = key
            self.value = value
        }
    }

    package var service: String?
    package var remoteService: String?
    package var spanName: String?
    package var terms: [Term] = []
    /// Nanoseconds; the maximum is only looked at together with a minimum.
    package var minDuration: UInt64?
    package var maxDuration: UInt64?
    /// Unix nanoseconds: when the root started, or the earliest span when there is no root.
    package var window: ClosedRange<UInt64> = 0...UInt64.max

    package init() {}

    /// - Parameter spans: of one trace.
    package func matches(_ spans: [SpanRecord]) -> Bool {
        guard let time = timestamp(spans), window.contains(time) else { return false }
        var open = self
        var foundService = false
        for span in spans {
            if let service, span.serviceName.lowercased() != service.lowercased() { continue }
            foundService = true
            open.close(span)
        }
        return foundService && open.terms.isEmpty && open.remoteService == nil && open.spanName == nil
            && open.minDuration == nil
    }

    private func timestamp(_ spans: [SpanRecord]) -> UInt64? {
        let known = spans.filter { !$0.marks.contains(.noStart) }
        return known.first { $0.parentID == nil }?.start ?? known.map(\.start).min() ?? spans.map(\.start).min()
    }

    /// Strikes out what one span meets.
    private mutating func close(_ span: SpanRecord) {
        terms = terms.filter { !Self.meets($0, span) }
        if let wanted = remoteService, Self.remoteName(of: span)?.lowercased() == wanted.lowercased() {
            remoteService = nil
        }
        if let wanted = spanName, span.name.lowercased() == wanted.lowercased() { spanName = nil }
        if let low = minDuration, span.duration >= low, span.duration <= maxDuration ?? .max { minDuration = nil }
    }

    /// The service name of a span's remote endpoint, as Zipkin's span JSON shows it.
    package static func remoteName(of span: SpanRecord) -> String? {
        var keys = ["peer.service"]
        if span.kind == SpanKind.client.rawValue || span.kind == SpanKind.producer.rawValue {
            keys += ["server.address", "net.peer.name", "messaging.system", "db.system"]
        }
        for key in keys {
            for attribute in span.attributes where attribute.key == key {
                if case .string(let name) = attribute.value, !name.isEmpty { return name }
            }
        }
        return nil
    }

    private static func meets(_ term: Term, _ span: SpanRecord) -> Bool {
        let derived = DerivedTag.value(of: term.key, kind: span.kind, status: span.status, scopeName: span.scope.name)
        if let derived, term.value == nil || term.value == derived { return true }
        for list in [span.attributes, span.resource.attributes] {
            for attribute in list where attribute.key == term.key {
                guard let wanted = term.value else { return true }
                if AttributeText.text(attribute.value) == wanted { return true }
            }
        }
        return term.value == nil && span.events.contains { $0.name == term.key }
    }
}

extension ZipkinTraceFilter {
    /// Reads Zipkin's `annotationQuery`: terms joined by ` and `, each `key=value` or a word. Of a repeated key the
    /// last value counts.
    /// - Returns: nil for more than 100 terms.
    package static func terms(of annotationQuery: String) -> [Term]? {
        var terms: [Term] = []
        for part in split(annotationQuery) {
            let text = trimmed(part)
            guard !text.isEmpty else { continue }
            let equals = text.firstIndex(of: "=")
            let key = equals.map { String(text[..<$0]) } ?? String(text)
            let value = equals.map { String(text[text.index(after: $0)...]) }
            guard !key.isEmpty else { continue }
            terms.removeAll { $0.key == key }
            terms.append(Term(key, value.flatMap { $0.isEmpty ? nil : $0 }))
            guard terms.count <= 100 else { return nil }
        }
        return terms
    }

    private static func split(_ text: String) -> [Substring] {
        let separator = Array(" and ".utf8)
        var parts: [Substring] = []
        var start = text.startIndex
        var index = start
        while index != text.endIndex {
            if text.utf8[index...].starts(with: separator) {
                parts.append(text[start..<index])
                index = text.utf8.index(index, offsetBy: separator.count)
                start = index
            } else {
                index = text.utf8.index(after: index)
            }
        }
        parts.append(text[start...])
        return parts
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text.drop { $0 == " " || $0 == "\t" }
        while text.last == " " || text.last == "\t" { text.removeLast() }
        return text
    }
}

extension ZipkinTraceFilter {
    /// Filters of which every matching trace meets at least one: where a search may look for candidates.
    /// - Parameters:
    ///   - services: names as stored that equal ``service`` without case.
    ///   - operations: span names as stored that equal ``spanName`` without case; looked at when that is given.
    package func candidates(services: [String], operations: [String], tenant: String) -> [SpanFilter] {
        var base = SpanFilter()
        base.tenant = tenant
        // A trace that began in the window has no span before it, but for skewed clocks; it may end after it.
        base.earliestStart = window.lowerBound == 0 ? nil : window.lowerBound
        var filters = [base]
        if service != nil { filters = services.map { name in with(base) { $0.service = name } } }
        if let exact = terms.first(where: { $0.value != nil }) {
            return filters.map { filter in with(filter) { $0.tags = [.init(exact.key, exact.value)] } }
        }
        if spanName != nil {
            return filters.flatMap { filter in
                operations.map { name in with(filter) { $0.operation = name } }
            }
        }
        if let minDuration {
            return filters.map { filter in
                with(filter) {
                    $0.minDuration = minDuration
                    $0.maxDuration = maxDuration
                }
            }
        }
        return filters
    }

    private func with(_ filter: SpanFilter, _ change: (inout SpanFilter) -> Void) -> SpanFilter {
        var copy = filter
        change(&copy)
        return copy
    }
}
