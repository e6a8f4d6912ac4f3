/// What must be known of a span to say how important it is.
package struct SpanFacts: BitwiseCopyable, Sendable {
    package var traceHigh: UInt64 = 0
    package var traceLow: UInt64 = 0
    /// Nanoseconds; zero when the end lies before the start.
    package var duration: UInt64 = 0
    /// ``SpanFacts/serviceKey(_:seed:)`` of the service that reported it.
    package var service: UInt64 = 0
    package var isError = false
    /// Where a request enters a service: a root, or of kind server or consumer.
    package var isEntry = false

    package init() {}

    /// The trace id as one number that nobody outside can foresee; never zero.
    @inline(__always)
    package func traceKey(seed: UInt64) -> UInt64 {
        Self.traceKey(high: traceHigh, low: traceLow, seed: seed)
    }

    @inline(__always)
    package static func traceKey(high: UInt64, low: UInt64, seed: UInt64) -> UInt64 {
        let key = mixed(mixed(low ^ seed) ^ high)
        return key == 0 ? 1 : key
    }

    package static func serviceKey(_ name: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        var hash = mixed(seed ^ UInt64(truncatingIfNeeded: name.count))
        var offset = 0
        while name.count &- offset >= 8 {
            hash = mixed(hash ^ name.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            offset &+= 8
        }
        var tail: UInt64 = 0
        while offset < name.count {
            tail = tail &<< 8 | UInt64(name[offset])
            offset &+= 1
        }
        return mixed(hash ^ tail)
    }

    /// The seed of a tenant's traces and services, so that tenants share neither.
    package static func seed(_ seed: UInt64, tenant: String) -> UInt64 {
        var tenant = tenant
        return tenant.withUTF8 { serviceKey(UnsafeRawBufferPointer($0), seed: seed) }
    }

    @inline(__always)
    private static func mixed(_ value: UInt64) -> UInt64 {
        let product = (value ^ 0xE703_7ED1_A0B4_28DB).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        let folded = product.high ^ product.low
        return folded ^ folded >> 29
    }
}

extension SpanBatch {
    /// The facts of the first spans, one each.
    package func facts(seed: UInt64, limit: Int = .max) -> [SpanFacts] {
        let services = arena.withUnsafeBytes { arena in
            scopes.map { scope -> UInt64 in
                let name = resources[Int(scope.resource)].serviceName
                let range = Int(name.offset)..<Int(name.offset) + Int(name.count)
                return SpanFacts.serviceKey(UnsafeRawBufferPointer(rebasing: arena[range]), seed: seed)
            }
        }
        return spans.prefix(limit).map { row in
            var facts = SpanFacts()
            (facts.traceHigh, facts.traceLow) = (row.traceHigh, row.traceLow)
            facts.duration = row.duration
            facts.service = services[Int(row.scope)]
            facts.isError = row.status == SpanStatus.error.rawValue
            facts.isEntry =
                row.parentID == 0 || row.kind == SpanKind.server.rawValue || row.kind == SpanKind.consumer.rawValue
            return facts
        }
    }
}
