internal import Synchronization
internal import Telemetry

/// A histogram series that a client measures an operation with.
package struct SpanTarget: Sendable {
    let series: UInt32
    let layout: ClassicBuckets
    /// What a span must agree with; nil: the series does not tell them apart.
    package let method: [UInt8]?
    package let status: [UInt8]?
}

/// Which histograms of durations measure which operation, by their labels, so that a span of that operation can be the
/// exemplar of the bucket that its duration falls into.
///
///     http_request_duration_seconds{service="web",uri="/buy",method="GET",status="200"}    -> web, /buy
///
/// Bounded: further series get no exemplars of spans. Source: schemas/wire/span-metrics.md, "Exemplars of timers".
package struct SpanTargets: Sendable {
    private struct Operation: Hashable {
        var service: [UInt8]
        var name: [UInt8]
    }

    private static let services = ["service", "service_name", "application", "app", "job"]
    private static let names = ["operation", "route", "http_route", "uri", "endpoint", "path", "handler"]
    private static let methods = ["method", "http_method", "http_request_method"]
    private static let statuses = ["status", "code", "status_code", "http_status_code", "http_response_status_code"]

    private let limit: Int
    private var byOperation: [Operation: [SpanTarget]] = [:]
    private var operations: [UInt32: Operation] = [:]
    /// Grows with every change.
    package private(set) var generation: UInt64 = 0
    /// Grows when series are removed, whose numbers may be given to others.
    private(set) var epoch: UInt32 = 1

    package init() { limit = Limits.spanTargets }

    package var isEmpty: Bool { byOperation.isEmpty }

    package func targets(service: [UInt8], name: [UInt8]) -> [SpanTarget] {
        byOperation[Operation(service: service, name: name)] ?? []
    }

    /// Learns of a new series when it is a histogram of durations with the labels of an operation.
    mutating func add(_ id: UInt32, _ entry: SeriesRegistry.Series, of family: MetricFamily) {
        guard family.kind == .histogram, let layout = family.buckets, family.name.hasSuffix("_seconds"),
            operations.count < limit
        else { return }
        let labels = MetricNaming.labels(of: entry.labels)
        func value(_ keys: [String]) -> [UInt8]? {
            for key in keys {
                if let label = labels.first(where: { $0.name == key }) { return Array(label.value.utf8) }
            }
            return nil
        }
        guard let service = value(Self.services), let name = value(Self.names) else { return }
        let operation = Operation(service: service, name: name)
        let target = SpanTarget(
            series: id, layout: layout, method: value(Self.methods), status: value(Self.statuses))
        byOperation[operation, default: []].append(target)
        operations[id] = operation
        generation &+= 1
    }

    mutating func remove(_ ids: [UInt32]) {
        epoch &+= 1
        generation &+= 1
        for id in ids {
            guard let operation = operations.removeValue(forKey: id) else { continue }
            byOperation[operation]?.removeAll { $0.series == id }
            if byOperation[operation]?.isEmpty == true { byOperation[operation] = nil }
        }
    }
}

extension MetricsEngine {
    /// The histograms that spans may be exemplars of, as of now; nil when nothing has changed since `generation`.
    package func spanTargets(since generation: UInt64) -> SpanTargets? {
        store.withLock { $0.targets.generation == generation ? nil : $0.targets }
    }
}
