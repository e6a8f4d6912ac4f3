package import Telemetry

/// Writes an exposition family by family, whatever its format. A family is written whole or not at all.
package protocol FamilyWriter {
    /// Samples written, as the text formats count them.
    var sampleCount: Int { get }
    /// Families refused or taken back.
    var familyErrors: Int { get }

    /// Starts a family; the one before it is complete.
    /// - Parameters:
    ///   - name: without `_total` for counters.
    ///   - bounds: the `le` bounds of a histogram without `+Inf`, ascending.
    /// - Returns: false when the name is not legal: then no sample may follow.
    mutating func beginFamily(name: String, kind: ExpositionKind, help: String, bounds: [Double]) -> Bool

    /// - Parameter labels: the escaped text between the braces of a sample line.
    mutating func counter(_ reading: CounterReading, labels: UnsafeRawBufferPointer)
    mutating func gauge(_ value: Double, labels: UnsafeRawBufferPointer)
    mutating func histogram(_ reading: HistogramReading, labels: UnsafeRawBufferPointer)

    /// Ends the exposition and hands over its bytes.
    mutating func finished() -> [UInt8]
}

/// What a scrape shows of one counter.
package struct CounterReading: Sendable {
    package var value: Double
    /// Unix nanoseconds from which it counts; zero when unknown.
    package var startNanoseconds: Int64 = 0
    package var exemplar: Exemplar?

    package init(value: Double, startNanoseconds: Int64 = 0, exemplar: Exemplar? = nil) {
        self.value = value
        self.startNanoseconds = startNanoseconds
        self.exemplar = exemplar
    }
}

/// What a scrape shows of one histogram.
package struct HistogramReading: Sendable {
    /// One for each bound and one for `+Inf`, not cumulated; the count is their sum.
    package var classic: [Double]
    package var sum: Double
    package var startNanoseconds: Int64 = 0
    package var exemplars: [BucketExemplar] = []
    /// The same observations in exponential buckets; only the protobuf format shows them.
    package var native: NativeBuckets?

    package init(
        classic: [Double], sum: Double, startNanoseconds: Int64 = 0, exemplars: [BucketExemplar] = [],
        native: NativeBuckets? = nil
    ) {
        self.classic = classic
        self.sum = sum
        self.startNanoseconds = startNanoseconds
        self.exemplars = exemplars
        self.native = native
    }
}

/// Whether Prometheus takes `name` for a metric without quoting it.
func isLegalMetricName(_ name: String) -> Bool {
    guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return name.utf8.allSatisfy { byte in
        (0x61...0x7a).contains(byte | 0x20) && byte < 0x80 || (0x30...0x39).contains(byte) || byte == 0x5f
            || byte == 0x3a
    }
}
