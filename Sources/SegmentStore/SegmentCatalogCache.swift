internal import Synchronization
internal import Telemetry

struct ServiceOperation: Hashable, Sendable {
    let service: String
    let operation: Operation
}

/// Services and operations of all segments, kept from call to call: only segments that came or went are looked at.
final class SegmentCatalogCache: Sendable {
    private struct Tenant {
        /// How many segments have each.
        var counts: [ServiceOperation: Int] = [:]
        var known: [UInt64: [ServiceOperation]] = [:]
    }

    private let tenants = Mutex<[String: Tenant]>([:])

    func operations(tenant: String, segments: [StoredSegment]) -> [ServiceOperation] {
        tenants.withLock { tenants in
            var cached = tenants[tenant] ?? Tenant()
            let ids = Set(segments.map(\.entry.id))
            for (id, list) in cached.known where !ids.contains(id) {
                for operation in list {
                    cached.counts[operation, default: 1] -= 1
                    if cached.counts[operation] == 0 { cached.counts[operation] = nil }
                }
                cached.known[id] = nil
            }
            for segment in segments where cached.known[segment.entry.id] == nil {
                let list = segment.reader.operations(tenant: tenant).map {
                    ServiceOperation(service: $0.service, operation: $0.operation)
                }
                for operation in list { cached.counts[operation, default: 0] += 1 }
                cached.known[segment.entry.id] = list
            }
            // A tenant nobody stored for leaves nothing behind.
            tenants[tenant] = cached.counts.isEmpty ? nil : cached
            return Array(cached.counts.keys)
        }
    }
}
