/// Remote write bodies, put together field by field. For tests.
package enum RemoteWriteSamples {
    package static func varint(_ value: UInt64) -> [UInt8] {
        var (bytes, rest) = ([UInt8](), value)
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    package static func field(_ number: UInt64, _ bytes: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(UInt64(bytes.count)) + bytes
    }
    package static func field(_ number: UInt64, _ text: String) -> [UInt8] { field(number, Array(text.utf8)) }
    package static func field(_ number: UInt64, _ value: Int64) -> [UInt8] {
        varint(number << 3) + varint(UInt64(bitPattern: value))
    }
    package static func field(_ number: UInt64, _ value: Double) -> [UInt8] {
        varint(number << 3 | 1) + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
    }
    package static func signed(_ number: UInt64, _ value: Int64) -> [UInt8] {
        varint(number << 3) + zigZag(value)
    }
    package static func zigZag(_ value: Int64) -> [UInt8] { varint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    /// Both versions: a value at Unix milliseconds; start is of version 2 only.
    package static func sample(_ value: Double, _ time: Int64, start: Int64 = 0) -> [UInt8] {
        field(1, value) + field(2, time) + (start == 0 ? [] : field(3, start))
    }

    /// One series of version 1; `parts` are its other fields.
    package static func series(_ labels: KeyValuePairs<String, String>, _ parts: [UInt8]) -> [UInt8] {
        field(1, labels.flatMap { field(1, field(1, $0.key) + field(2, $0.value)) } + parts)
    }

    package static func series(_ labels: KeyValuePairs<String, String>, values: [(Double, Int64)]) -> [UInt8] {
        series(labels, values.flatMap { field(2, sample($0.0, $0.1)) })
    }

    /// A native histogram of both versions: whole counts by schema, first bucket and counts in a row.
    package static func histogram(
        schema: Int64 = 0, first: Int64 = 1, counts: [Int64], zero: Int64 = 0, sum: Double, time: Int64
    ) -> [UInt8] {
        let total = counts.reduce(zero, +)
        var (deltas, last) = ([UInt8](), Int64(0))
        for count in counts {
            deltas += zigZag(count - last)
            last = count
        }
        let span = signed(1, first) + field(2, Int64(counts.count))
        return field(1, total) + field(3, sum) + signed(4, schema) + field(5, 0x1p-128) + field(6, zero)
            + field(11, span) + field(12, deltas) + field(15, time)
    }

    /// A request of version 2 with these symbols behind the empty one; `series` are the fields of each series.
    package static func request(symbols: [String], _ series: [[UInt8]]) -> [UInt8] {
        field(4, "") + symbols.flatMap { field(4, $0) } + series.flatMap { field(5, $0) }
    }

    package static var versionOne: [[UInt8]] {
        let labels: KeyValuePairs = ["__name__": "orders_total", "job": "shop"]
        let exemplar = field(1, field(1, "trace_id") + field(2, "4bf92f3577b34da6a3ce929d0e0e4736")) + field(2, 3.0)
        let histogram = histogram(counts: [1, 3, 2], zero: 1, sum: 9, time: 1_000)
        let metadata = field(1, Int64(1)) + field(2, "orders_total") + field(4, "Orders.")
        return [
            series(labels, values: [(5, 1_000), (7, 2_000)]), series(labels, field(3, exemplar) + field(4, histogram)),
            field(3, metadata),
        ]
    }

    package static var versionTwo: [[UInt8]] {
        let symbols = ["__name__", "orders_total", "job", "shop", "Orders.", "trace_id", "a1"]
        let references = field(1, [1, 2, 3, 4] as [UInt8])
        let metadata = field(5, field(1, Int64(1)) + field(3, Int64(5)))
        let exemplar = field(4, field(1, [6, 7] as [UInt8]) + field(2, 3.0) + field(3, Int64(1_000)))
        let histogram = field(3, histogram(counts: [1, 3, 2], zero: 1, sum: 9, time: 1_000))
        return [
            request(symbols: symbols, [references + field(2, sample(5, 1_000, start: 500)) + exemplar + metadata]),
            request(symbols: symbols, [references + histogram]),
        ]
    }
}
