package import Telemetry

/// One edge of the service graph.
package struct DependencyLink: Hashable, Sendable {
    package var parent: String
    package var child: String
    package var callCount: UInt64
    package var errorCount: UInt64

    package init(parent: String, child: String, callCount: UInt64, errorCount: UInt64) {
        self.parent = parent
        self.child = child
        self.callCount = callCount
        self.errorCount = errorCount
    }
}

/// Counts calls between services over many traces.
///
/// | span | edge |
/// |---|---|
/// | server | nearest ancestor's service, or else the remote name, -> its service |
/// | consumer | broker -> its service when the broker is named, otherwise as a server |
/// | client without an instrumented callee | its service -> remote name |
/// | producer | its service -> broker, when named |
/// | any other whose parent belongs to another service | the parent's service -> its service |
///
/// A call counts as an error when the span failed, or the client span above a server span did. Spans count with
/// their weight.
package struct DependencyLinker: Sendable {
    private struct Edge: Hashable {
        var parent: String
        var child: String
    }
    private var counts: [Edge: (calls: Double, errors: Double)] = [:]

    package init() {}

    /// Adds the calls of one trace. - Parameter tree: of these spans.
    package mutating func add(_ spans: [SpanRecord], tree: TraceTree) {
        // The nearest service above each span; empty at roots.
        var above = [String](repeating: "", count: spans.count)
        for index in tree.preorder {
            if let parent = tree.parents[index] {
                above[index] = spans[parent].serviceName.isEmpty ? above[parent] : spans[parent].serviceName
            }
            add(spans[index], index, above: above[index], spans, tree)
        }
    }

    private mutating func add(
        _ span: SpanRecord, _ index: Int, above: String, _ spans: [SpanRecord], _ tree: TraceTree
    ) {
        let service = span.serviceName
        let remote = RemoteService.name(of: span)
        let failed = isError(span)
        let isForeign = !above.isEmpty && !service.isEmpty && above != service
        switch SpanKind(rawValue: span.kind) {
        case .consumer where remote != nil:
            count(remote ?? "", service, failed, span.weight)
        case .server, .consumer:
            let parent = tree.parents[index].map { spans[$0] }
            let callerFailed = parent.map { $0.kind == SpanKind.client.rawValue && isError($0) } ?? false
            count(above.isEmpty ? remote ?? "" : above, service, failed || callerFailed, span.weight)
        case .client:
            if isForeign { count(above, service, false, span.weight) }
            let isAnswered = tree.children[index].contains { isCallee(spans[$0], of: span) }
            if !isAnswered { count(service, remote ?? "", failed, span.weight) }
        case .producer:
            if isForeign { count(above, service, false, span.weight) }
            count(service, remote ?? "", failed, span.weight)
        case .internal, .unspecified, nil:
            if isForeign { count(above, service, failed, span.weight) }
        }
    }

    /// Whether a child of a client span tells the callee's own name.
    private func isCallee(_ child: SpanRecord, of client: SpanRecord) -> Bool {
        child.kind == SpanKind.server.rawValue || child.kind == SpanKind.consumer.rawValue
            || (!child.serviceName.isEmpty && child.serviceName != client.serviceName)
    }

    private func isError(_ span: SpanRecord) -> Bool {
        span.isError || span.attributes.contains { $0.key == "error" && AttributeText.text($0.value) != "false" }
    }

    private mutating func count(_ parent: String, _ child: String, _ failed: Bool, _ weight: Double) {
        guard !parent.isEmpty, !child.isEmpty else { return }
        let calls = weight.isFinite && weight >= 1 ? weight : 1
        var known = counts[Edge(parent: parent, child: child)] ?? (0, 0)
        known.calls += calls
        if failed { known.errors += calls }
        counts[Edge(parent: parent, child: child)] = known
    }

    /// Sorted by parent and child.
    package var links: [DependencyLink] {
        counts.map { edge, count in
            DependencyLink(
                parent: edge.parent, child: edge.child, callCount: rounded(count.calls),
                errorCount: rounded(count.errors))
        }
        .sorted { ($0.parent, $0.child) < ($1.parent, $1.child) }
    }

    private func rounded(_ count: Double) -> UInt64 { UInt64(exactly: count.rounded()) ?? .max }
}

/// The name of what a span calls, when its own attributes tell it.
package enum RemoteService {
    private static let keys = ["peer.service", "db.name", "db.system.name", "db.system", "messaging.system"]

    package static func name(of span: SpanRecord) -> String? {
        for key in keys {
            for attribute in span.attributes where attribute.key == key {
                if case .string(let name) = attribute.value, !name.isEmpty { return name }
            }
        }
        return nil
    }
}
