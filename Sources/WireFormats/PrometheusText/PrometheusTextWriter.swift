internal import Telemetry

/// The kinds of family the text formats tell apart, as far as Crest has them.
package enum ExpositionKind: String, Sendable {
    case counter
    case gauge
    case histogram
}

/// Writes families and samples in text 0.0.4 or OpenMetrics 1.0.
///
/// A family is written whole or not at all: ``beginFamily(name:kind:help:bounds:)`` refuses a name that would break the
/// scrape and ``cancelFamily()`` takes back what was written since. `le` has the canonical float form in both formats.
/// Source: schemas/wire/prometheus-text.md.
package struct PrometheusTextWriter: FamilyWriter, Sendable {
    package private(set) var bytes: [UInt8] = []
    package private(set) var familyCount = 0
    package private(set) var sampleCount = 0
    /// Families refused or taken back.
    package private(set) var familyErrors = 0

    private let isOpenMetrics: Bool
    private var familyStart = 0
    private var familySamples = 0
    private var name: [UInt8] = []
    private var bounds: [[UInt8]] = []

    package init(format: ScrapeFormat, reserving capacity: Int = 0) {
        isOpenMetrics = format == .openMetrics
        bytes.reserveCapacity(capacity)
    }

    /// Starts a family; the one before it is complete.
    /// - Parameters:
    ///   - name: without `_total` for counters.
    ///   - bounds: the `le` bounds of a histogram without `+Inf`, ascending.
    /// - Returns: false when the name is not legal: then no sample may follow.
    package mutating func beginFamily(
        name: String, kind: ExpositionKind, help: String, bounds: [Double] = []
    ) -> Bool {
        familyStart = bytes.count
        familySamples = 0
        guard isLegalMetricName(name) else {
            familyErrors += 1
            return false
        }
        self.name = Array(name.utf8)
        self.bounds = bounds.map { Array("\($0)".utf8) } + [Array("+Inf".utf8)]
        let shown = kind == .counter && !isOpenMetrics ? name + "_total" : name
        let type = "# TYPE \(shown) \(kind.rawValue)\n"
        let help = "# HELP \(shown) \(escaped(help: help))\n"
        append(isOpenMetrics ? type : help)
        if isOpenMetrics {
            for unit in ["seconds", "bytes"] where name.hasSuffix("_\(unit)") { append("# UNIT \(shown) \(unit)\n") }
        }
        append(isOpenMetrics ? help : type)
        familyCount += 1
        return true
    }

    /// Takes back everything since the last ``beginFamily(name:kind:help:bounds:)``.
    package mutating func cancelFamily() {
        bytes.removeLast(bytes.count - familyStart)
        sampleCount -= familySamples
        familySamples = 0
        familyCount -= 1
        familyErrors += 1
    }

    /// - Parameter labels: the escaped text between the braces.
    package mutating func counter(_ reading: CounterReading, labels: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: name)
        append("_total")
        finishSample(labels, reading.value, reading.exemplar)
    }

    package mutating func gauge(_ value: Double, labels: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: name)
        finishSample(labels, value)
    }

    package mutating func histogram(_ reading: HistogramReading, labels: UnsafeRawBufferPointer) {
        var cumulated = 0.0
        for (index, (bound, count)) in zip(bounds, reading.classic).enumerated() {
            cumulated += count
            bytes.append(contentsOf: name)
            append("_bucket{")
            if labels.count > 0 {
                bytes.append(contentsOf: labels)
                bytes.append(UInt8(ascii: ","))
            }
            append("le=\"")
            bytes.append(contentsOf: bound)
            append("\"} ")
            finishLine(cumulated, reading.exemplars.first { $0.bucket == index }?.exemplar)
        }
        bytes.append(contentsOf: name)
        append("_sum")
        finishSample(labels, reading.sum)
        bytes.append(contentsOf: name)
        append("_count")
        finishSample(labels, cumulated)
    }

    /// Ends the exposition; nothing may follow.
    package mutating func finished() -> [UInt8] {
        if isOpenMetrics { append("# EOF\n") }
        return bytes
    }

    private mutating func finishSample(
        _ labels: UnsafeRawBufferPointer, _ value: Double, _ exemplar: Exemplar? = nil
    ) {
        if labels.count > 0 {
            bytes.append(UInt8(ascii: "{"))
            bytes.append(contentsOf: labels)
            bytes.append(UInt8(ascii: "}"))
        }
        bytes.append(UInt8(ascii: " "))
        finishLine(value, exemplar)
    }

    private mutating func finishLine(_ value: Double, _ exemplar: Exemplar? = nil) {
        appendExpositionNumber(value, to: &bytes)
        if isOpenMetrics, let exemplar { append(exemplar) }
        bytes.append(UInt8(ascii: "\n"))
        sampleCount += 1
        familySamples += 1
    }

    /// At most 63 characters of labels, so the limit of 128 holds by itself. The time is in seconds.
    private mutating func append(_ exemplar: Exemplar) {
        append(" # {trace_id=\"")
        append(exemplar.traceID.hex32)
        if !exemplar.spanID.isZero {
            append("\",span_id=\"")
            append(exemplar.spanID.hex)
        }
        append("\"} ")
        appendExpositionNumber(exemplar.value, to: &bytes)
        append(" ")
        appendExpositionNumber(Double(exemplar.nanoseconds / 1_000_000) / 1_000, to: &bytes)
    }

    private mutating func append(_ text: String) { bytes.append(contentsOf: text.utf8) }
    private mutating func append(_ text: StaticString) {
        bytes.append(contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// OpenMetrics escapes the double quote as well.
    private func escaped(help: String) -> String {
        var result = ""
        for character in help.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\"" where isOpenMetrics: result += "\\\""
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

/// Appends a number as the text formats spell it: whole numbers without a point, `+Inf`, `-Inf`, `NaN`.
package func appendExpositionNumber(_ value: Double, to bytes: inout [UInt8]) {
    guard value.magnitude < 9e15, value == value.rounded(.towardZero) else {
        if value.isFinite {
            bytes.append(contentsOf: value.description.utf8)
        } else {
            bytes.append(contentsOf: (value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf").utf8)
        }
        return
    }
    if value < 0 { bytes.append(UInt8(ascii: "-")) }
    var rest = UInt64(value.magnitude)
    guard rest > 9 else {
        bytes.append(UInt8(truncatingIfNeeded: rest) + 0x30)
        return
    }
    let start = bytes.count
    while rest > 0 {
        bytes.append(UInt8(truncatingIfNeeded: rest % 10) + 0x30)
        rest /= 10
    }
    var low = start
    var high = bytes.count - 1
    while low < high {
        bytes.swapAt(low, high)
        low += 1
        high -= 1
    }
}
