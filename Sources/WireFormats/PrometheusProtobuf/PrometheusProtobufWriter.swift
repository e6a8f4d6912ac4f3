internal import Telemetry

/// Writes families as length-delimited `io.prometheus.client.MetricFamily` messages, histograms in classic and native
/// form together.
///
/// A family is put together apart and appended when it is complete. A histogram whose counts are whole is an integer
/// histogram, whose bucket sum is exactly its count; any other is a float histogram that fills the integer fields with
/// rounded numbers too, which Prometheus 2.42 reads for the classic part. `zero_threshold` is always sent: 2.42 takes
/// no other sign of a native histogram that has no buckets yet.
/// Source: schemas/wire/prometheus-protobuf.md.
package struct PrometheusProtobufWriter: FamilyWriter, Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var familyCount = 0
    package private(set) var sampleCount = 0
    package private(set) var familyErrors = 0

    private var family = ProtobufWriter()
    private var metric = ProtobufWriter()
    private var part = ProtobufWriter()
    private var leaf = ProtobufWriter()
    private var labelValue: [UInt8] = []
    private var bounds: [Double] = []
    private var isOpen = false

    package init(reserving capacity: Int = 0) { bytes.reserveCapacity(capacity) }

    package mutating func beginFamily(
        name: String, kind: ExpositionKind, help: String, bounds: [Double] = []
    ) -> Bool {
        closeFamily()
        guard isLegalMetricName(name) else {
            familyErrors += 1
            return false
        }
        family.string(1, kind == .counter ? name + "_total" : name)
        family.string(2, help)
        let type: UInt64 =
            switch kind {
            case .counter: 0
            case .gauge: 1
            case .histogram: 4
            }
        family.varint(3, type)
        self.bounds = bounds + [.infinity]
        familyCount += 1
        isOpen = true
        return true
    }

    private mutating func closeFamily() {
        guard isOpen else { return }
        isOpen = false
        bytes.appendVarint(UInt64(family.bytes.count))
        bytes.append(contentsOf: family.bytes)
        family.removeAll()
    }

    package mutating func finished() -> [UInt8] {
        closeFamily()
        return bytes
    }

    package mutating func counter(_ reading: CounterReading, labels: UnsafeRawBufferPointer) {
        beginMetric(labels)
        part.removeAll()
        part.double(1, reading.value)
        if let exemplar = reading.exemplar { write(exemplar, as: 2) }
        write(timestamp: reading.startNanoseconds, as: 3)
        endMetric(3)
        sampleCount += 1
    }

    package mutating func gauge(_ value: Double, labels: UnsafeRawBufferPointer) {
        beginMetric(labels)
        part.removeAll()
        part.double(1, value)
        endMetric(2)
        sampleCount += 1
    }

    package mutating func histogram(_ reading: HistogramReading, labels: UnsafeRawBufferPointer) {
        beginMetric(labels)
        part.removeAll()
        let isWhole = reading.classic.allSatisfy(\.isWholeCount) && reading.native?.isWhole ?? true
        let count = reading.classic.reduce(0, +)
        part.varint(1, rounded(count))
        part.double(2, reading.sum)
        if !isWhole { part.double(4, count) }
        writeClassic(reading, isWhole: isWhole)
        if let native = reading.native, !isWhole || native.total == count { write(native, isWhole: isWhole) }
        write(timestamp: reading.startNanoseconds, as: 15)
        endMetric(7)
        sampleCount += bounds.count + 2
    }

    private mutating func writeClassic(_ reading: HistogramReading, isWhole: Bool) {
        var cumulated = 0.0
        for (index, (bound, weight)) in zip(bounds, reading.classic).enumerated() {
            cumulated += weight
            var bucket = ProtobufWriter()
            bucket.varint(1, rounded(cumulated))
            bucket.double(2, bound)
            if let kept = reading.exemplars.first(where: { $0.bucket == index }) {
                bucket.bytes(3, Self.message(kept.exemplar))
            }
            if !isWhole { bucket.double(4, cumulated) }
            part.bytes(3, bucket.bytes)
        }
    }

    /// The upper end of the zero bucket.
    private static let zeroThreshold = 0x1p-128

    private mutating func write(_ native: NativeBuckets, isWhole: Bool) {
        part.varint(5, zigZag(Int64(native.schema)))
        part.double(6, Self.zeroThreshold)
        part.varint(7, rounded(native.zeroWeight))
        if !isWhole { part.double(8, native.zeroWeight) }
        let layout = SpanLayout(native.buckets)
        for span in layout.spans {
            leaf.removeAll()
            leaf.varint(1, zigZag(Int64(span.offset)))
            leaf.varint(2, UInt64(span.length))
            part.bytes(12, leaf.bytes)
        }
        guard !layout.weights.isEmpty else { return }
        var packed: [UInt8] = []
        if isWhole {
            var previous: Int64 = 0
            for weight in layout.weights {
                let count = Int64(weight)
                packed.appendVarint(zigZag(count &- previous))
                previous = count
            }
            part.bytes(13, packed)
        } else {
            for weight in layout.weights {
                withUnsafeBytes(of: weight.bitPattern.littleEndian) { packed.append(contentsOf: $0) }
            }
            part.bytes(14, packed)
        }
    }

    private mutating func beginMetric(_ labels: UnsafeRawBufferPointer) {
        metric.removeAll()
        var text = LabelText(labels)
        while let name = text.next(into: &labelValue) {
            leaf.removeAll()
            leaf.bytes(1, name)
            leaf.bytes(2, labelValue)
            metric.bytes(1, leaf.bytes)
        }
    }

    /// - Parameter number: the field of `Metric` for its kind.
    private mutating func endMetric(_ number: UInt32) {
        metric.bytes(number, part.bytes)
        family.bytes(4, metric.bytes)
    }

    private mutating func write(_ exemplar: Exemplar, as number: UInt32) {
        part.bytes(number, Self.message(exemplar))
    }

    private static func message(_ exemplar: Exemplar) -> [UInt8] {
        var message = ProtobufWriter()
        message.message(1) { label in
            label.string(1, "trace_id")
            label.string(2, exemplar.traceID.hex32)
        }
        if !exemplar.spanID.isZero {
            message.message(1) { label in
                label.string(1, "span_id")
                label.string(2, exemplar.spanID.hex)
            }
        }
        message.double(2, exemplar.value)
        message.bytes(3, timestampMessage(exemplar.nanoseconds))
        return message.bytes
    }

    private mutating func write(timestamp nanoseconds: Int64, as number: UInt32) {
        if nanoseconds > 0 { part.bytes(number, Self.timestampMessage(nanoseconds)) }
    }

    private static func timestampMessage(_ nanoseconds: Int64) -> [UInt8] {
        var message = ProtobufWriter()
        message.varint(1, UInt64(max(nanoseconds, 0) / 1_000_000_000))
        message.varint(2, UInt64(max(nanoseconds, 0) % 1_000_000_000))
        return message.bytes
    }
}

/// Native buckets as spans of neighbours; gaps of one or two are filled with empty buckets, which is shorter.
struct SpanLayout {
    private(set) var spans: [(offset: Int, length: Int)] = []
    private(set) var weights: [Double] = []

    init(_ buckets: [NativeBuckets.Bucket]) {
        var next = 0
        for bucket in buckets {
            let gap = bucket.index - next
            if let last = spans.indices.last, gap <= 2 {
                for _ in 0..<max(gap, 0) { weights.append(0) }
                spans[last].length += gap + 1
            } else {
                spans.append((offset: gap, length: 1))
            }
            weights.append(bucket.weight)
            next = bucket.index + 1
        }
    }
}

extension NativeBuckets {
    fileprivate var isWhole: Bool { zeroWeight.isWholeCount && buckets.allSatisfy(\.weight.isWholeCount) }

    var total: Double { buckets.reduce(zeroWeight) { $0 + $1.weight } }
}

extension Double {
    /// A count that an integer histogram can hold exactly.
    fileprivate var isWholeCount: Bool { self >= 0 && self <= 0x1p53 && rounded(.towardZero) == self }
}

private func rounded(_ count: Double) -> UInt64 { UInt64(exactly: count.rounded()) ?? (count > 0 ? .max : 0) }

private func zigZag(_ value: Int64) -> UInt64 { UInt64(bitPattern: (value << 1) ^ (value >> 63)) }
