package import Telemetry

/// Where a page ended, as clients carry it: 68 hexadecimal digits that mean nothing to them.
///
///     | version u8 | order u8 | fingerprint u64 | value u64 | trace id u128 |   big-endian, then hexadecimal
///
/// The fingerprint binds a token to the search it came from. Source: schemas/query/search.md, "Page token".
package struct PageToken: Hashable, Sendable {
    private static let version: UInt64 = 1

    package var order: TraceOrder
    package var fingerprint: UInt64
    package var key: TraceOrder.Key

    package init(order: TraceOrder, fingerprint: UInt64, key: TraceOrder.Key) {
        self.order = order
        self.fingerprint = fingerprint
        self.key = key
    }

    package var text: String {
        digits(PageToken.version, 2) + digits(UInt64(order.rawValue), 2) + digits(fingerprint, 16)
            + digits(key.value, 16) + key.traceID.hex32
    }

    /// Nil for anything that ``text`` never makes.
    package init?(text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 68,
            let head = TraceID(hex: bytes[0..<4]), head.low >> 8 == PageToken.version,
            let order = TraceOrder(rawValue: UInt8(truncatingIfNeeded: head.low)),
            let fingerprint = TraceID(hex: bytes[4..<20]), let value = TraceID(hex: bytes[20..<36]),
            let traceID = TraceID(hex: bytes[36..<68])
        else { return nil }
        self.init(
            order: order, fingerprint: fingerprint.low,
            key: TraceOrder.Key(value: value.low, traceID: traceID))
    }

    private func digits(_ value: UInt64, _ count: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}

extension SpanFilter {
    /// The same for equal filters, in every process: FNV-1a over the conditions, each with its name and length.
    package static func fingerprint(of filters: [SpanFilter]) -> UInt64 {
        var hash = Fingerprint()
        for filter in filters {
            hash.add("tenant", filter.tenant)
            hash.add("service", filter.service)
            hash.add("operation", filter.operation)
            hash.add("kind", filter.kind.map { String($0.rawValue) })
            hash.add("min", filter.minDuration.map(String.init))
            hash.add("max", filter.maxDuration.map(String.init))
            hash.add("earliest", filter.earliestStart.map(String.init))
            hash.add("latest", filter.latestStart.map(String.init))
            hash.add("error", filter.error.map(String.init))
            for tag in filter.tags {
                hash.add("key", tag.key)
                hash.add("value", tag.value)
            }
            hash.add("end", "")
        }
        return hash.value
    }
}

private struct Fingerprint {
    var value: UInt64 = 0xcbf2_9ce4_8422_2325

    mutating func add(_ name: String, _ text: String?) {
        guard let text else { return }
        for byte in "\(name):\(text.utf8.count):\(text)".utf8 {
            value = (value ^ UInt64(byte)) &* 0x100_0000_01b3
        }
    }
}
