internal import Glibc
package import Telemetry

/// What one step of a ``StatsDReader`` found.
package enum StatsDOutcome: Hashable, Sendable {
    /// The datagram is used up.
    case end
    /// A metric line: the reader's `name`, `tags` and `samples` describe it until the next step.
    case line
    /// `_e{...}`: well formed, and nothing else is read of it.
    case event
    /// `_sc|NAME|STATUS...`: the reader's `name` is the text up to NAME, its `tags` those of the check, and its one
    /// sample a gauge with the status.
    case serviceCheck
    case rejected(LineRejection)
}

/// How a gauge value with an explicit sign is read; the dialects contradict each other.
package enum GaugeSignPolicy: Hashable, Sendable {
    /// A level when the line shows marks of DogStatsD or Micrometer, else a change.
    case auto
    case level
    case change
}

/// Reads the metric lines of one datagram after another, in place: copies nothing and allocates nothing.
///
///     name ":" value *( ":" value ) "|" type *( "|" field ) *( ":" value ... )     fields: @rate #tags T c: e: card:
///
/// A malformed line is reported with its reason and costs only itself. The reader belongs to one thread.
/// Source: schemas/wire/statsd.md.
package struct StatsDReader: ~Copyable {
    /// Name of the current line as sent, tags of the name-side styles included.
    package internal(set) var name = UnsafeRawBufferPointer(start: nil, count: 0)
    /// The text after `|#`, empty when there is none.
    package internal(set) var tags = UnsafeRawBufferPointer(start: nil, count: 0)
    package private(set) var sampleCount = 0

    /// The current line without its end, as sent; good until the next step.
    package private(set) var line = UnsafeRawBufferPointer(start: nil, count: 0)

    /// Where the last rejected line stopped making sense, in bytes from its start.
    package private(set) var rejectionOffset = 0

    /// Known fields that are skipped: `c:`, `e:` and `card:`. Only grow.
    package private(set) var containerFields: UInt64 = 0
    package private(set) var externalDataFields: UInt64 = 0
    package private(set) var cardinalityFields: UInt64 = 0
    /// Lines with `T`: their values count as of now. Only grows.
    package private(set) var explicitTimestamps: UInt64 = 0
    /// Fields that no published version of the format has. Only grows.
    package private(set) var unknownFields: UInt64 = 0
    /// Rates on gauges and sets, where they mean nothing. Only grows.
    package private(set) var ignoredRates: UInt64 = 0
    /// Gauges with an explicit sign that were read as a change, and as a level. Only grow.
    package private(set) var signedGaugeChanges: UInt64 = 0
    package private(set) var signedGaugeLevels: UInt64 = 0

    private let scratch: UnsafeMutablePointer<MetricSample>
    private let decimal = DecimalText()
    private let signPolicy: GaugeSignPolicy
    private var base: UnsafePointer<UInt8>?
    private var length = 0
    private var position = 0
    private var hasSignedGauge = false
    private var hasDogStatsDField = false

    /// A line of values and colons only has at most this many samples.
    private static let sampleCapacity = Limits.lineBytes / 2 + 1

    package init(signPolicy: GaugeSignPolicy = .auto) {
        scratch = .allocate(capacity: Self.sampleCapacity)
        self.signPolicy = signPolicy
    }

    deinit { scratch.deallocate() }

    /// The values of the current line.
    package var samples: UnsafeBufferPointer<MetricSample> {
        UnsafeBufferPointer(start: scratch, count: sampleCount)
    }

    /// Starts on a datagram (or a whole body); the bytes must stay where they are until the last ``next()``.
    package mutating func begin(_ datagram: UnsafeRawBufferPointer) {
        base = datagram.baseAddress?.assumingMemoryBound(to: UInt8.self)
        length = base == nil ? 0 : datagram.count
        position = 0
    }

    /// Goes to the next line that is not empty.
    package mutating func next() -> StatsDOutcome {
        guard let base else { return .end }
        while position < length {
            let start = position
            var end = length
            if let newline = memchr(base + start, 0x0a, length &- start) {
                end = UnsafeRawPointer(newline) - UnsafeRawPointer(base)
            }
            position = end &+ 1
            if end > start, base[end &- 1] == 0x0d { end &-= 1 }
            if end == start { continue }
            line = UnsafeRawBufferPointer(start: base + start, count: end &- start)
            rejectionOffset = 0
            guard end &- start <= Limits.lineBytes else {
                rejectionOffset = Limits.lineBytes
                return .rejected(.lineTooLong)
            }
            if base[start] == 0x5f, let special = readSpecial(base, start, end) { return special }
            return readMetric(base, start, end)
        }
        return .end
    }

    /// Makes one gauge the whole of the current line.
    mutating func setStatus(_ status: Double) {
        scratch[0] = MetricSample(value: status, weight: 1, kind: .gauge)
        sampleCount = 1
    }

    private mutating func readMetric(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> StatsDOutcome {
        guard let found = memchr(bytes + start, 0x3a, end &- start) else { return .rejected(.noColon) }
        let colon = UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
        guard colon > start else { return .rejected(.emptyName) }
        name = UnsafeRawBufferPointer(start: bytes + start, count: colon &- start)
        tags = UnsafeRawBufferPointer(start: nil, count: 0)
        sampleCount = 0
        hasSignedGauge = false
        hasDogStatsDField = false
        var cursor = colon &+ 1
        while true {
            let first = sampleCount
            if let rejection = readValues(bytes, &cursor, end) {
                rejectionOffset = cursor &- start
                return .rejected(rejection)
            }
            if let rejection = readFields(bytes, &cursor, end, samplesFrom: first) {
                rejectionOffset = cursor &- start
                return .rejected(rejection)
            }
            guard cursor < end else { break }
            cursor &+= 1  // the colon before the next sample of the packed form
        }
        if hasSignedGauge { settleSigns() }
        return .line
    }

    /// Reads `value *( ":" value ) "|" type` and leaves the cursor after the type.
    private mutating func readValues(
        _ bytes: UnsafePointer<UInt8>, _ cursor: inout Int, _ end: Int
    ) -> LineRejection? {
        let start = cursor
        let first = sampleCount
        var pipe = -1
        while cursor < end, sampleCount < Self.sampleCapacity {
            let lead = bytes[cursor]
            if lead == 0x3a {  // an empty element is skipped
                cursor &+= 1
                continue
            }
            var value = 0.0
            let isSigned = lead == 0x2d || lead == 0x2b
            let after = decimal.read(bytes, from: isSigned ? cursor &+ 1 : cursor, to: end, into: &value)
            guard after >= 0, after < end else { break }
            let stop = bytes[after]
            guard stop == 0x7c || stop == 0x3a else { break }
            scratch[sampleCount] = MetricSample(
                value: lead == 0x2d ? -value : value, weight: 1, kind: .counter, isDelta: isSigned)
            sampleCount &+= 1
            cursor = after
            if stop == 0x7c {
                pipe = after
                break
            }
            cursor &+= 1
        }
        let isNumeric = pipe >= 0
        if !isNumeric {
            guard let found = memchr(bytes + start, 0x7c, end &- start) else { return .noType }
            pipe = UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
        }
        cursor = pipe &+ 1
        return readType(bytes, &cursor, end, samplesFrom: first, text: start..<pipe, isNumeric: isNumeric)
    }

    private mutating func readType(
        _ bytes: UnsafePointer<UInt8>, _ cursor: inout Int, _ end: Int, samplesFrom first: Int, text: Range<Int>,
        isNumeric: Bool
    ) -> LineRejection? {
        let start = cursor
        while cursor < end, bytes[cursor] != 0x7c, bytes[cursor] != 0x3a { cursor &+= 1 }
        let kind: MetricKind
        switch (cursor &- start, cursor > start ? bytes[start] : 0) {
        case (0, _): return .noType
        case (1, 0x63): kind = .counter
        case (1, 0x67): kind = .gauge
        case (1, 0x68): kind = .histogram
        case (1, 0x64): kind = .distribution
        case (1, 0x73): kind = .set
        case (2, 0x6d) where bytes[start &+ 1] == 0x73: kind = .timer
        default:
            cursor = start
            return .badType
        }
        if case .set = kind {
            guard !text.isEmpty, first < Self.sampleCapacity else { return .badValue }
            let member = UnsafeRawBufferPointer(start: bytes + text.lowerBound, count: text.count)
            scratch[first] = MetricSample(value: 0, weight: 1, kind: .set, member: member)
            sampleCount = first &+ 1
            return nil
        }
        guard isNumeric, sampleCount > first else {
            cursor = text.lowerBound
            return classifyBadValue(bytes, text)
        }
        for index in first..<sampleCount {
            scratch[index].kind = kind
            if case .gauge = kind {
                hasSignedGauge = hasSignedGauge || scratch[index].isDelta
            } else {
                scratch[index].isDelta = false
                if scratch[index].value < 0 {
                    if case .counter = kind { return .negativeCounter }
                    if case .timer = kind { return .badValue }
                }
            }
        }
        return nil
    }

    /// Reads `*( "|" field )` and leaves the cursor at the end or at the colon of another packed sample.
    private mutating func readFields(
        _ bytes: UnsafePointer<UInt8>, _ cursor: inout Int, _ end: Int, samplesFrom first: Int
    ) -> LineRejection? {
        while cursor < end, bytes[cursor] == 0x7c {
            cursor &+= 1
            guard cursor < end else {
                unknownFields &+= 1
                break
            }
            let lead = bytes[cursor]
            if lead == 0x40 {  // @
                var rate = 0.0
                let after = decimal.read(bytes, from: cursor &+ 1, to: end, into: &rate)
                guard after >= 0, after == end || bytes[after] == 0x7c || bytes[after] == 0x3a,
                    rate >= Self.smallestRate, rate <= 1
                else { return .badRate }
                cursor = after
                apply(rate: rate, samplesFrom: first)
                continue
            }
            var stop = end
            if let found = memchr(bytes + cursor, 0x7c, end &- cursor) {
                stop = UnsafeRawPointer(found) - UnsafeRawPointer(bytes)
            }
            note(field: UnsafeRawBufferPointer(start: bytes + cursor, count: stop &- cursor))
            cursor = stop
        }
        return nil
    }

    /// Rates below this are refused: such a sample would stand for more than a million events.
    private static let smallestRate = 1e-6

    private mutating func apply(rate: Double, samplesFrom first: Int) {
        // A pointer of its own: ThreadSanitizer's instrumentation of a change in place through `self` does not compile.
        let samples = scratch
        for index in first..<sampleCount {
            switch samples[index].kind {
            case .counter: samples[index].value /= rate
            case .timer, .histogram, .distribution: samples[index].weight = 1 / rate
            case .gauge, .set: ignoredRates &+= 1
            }
        }
    }

    private mutating func note(field: UnsafeRawBufferPointer) {
        guard let lead = field.first else {
            unknownFields &+= 1
            return
        }
        if lead == 0x23 {  // #
            if hasDogStatsDField, tags.baseAddress != nil {
                unknownFields &+= 1
            } else {
                tags = UnsafeRawBufferPointer(rebasing: field[1...])
            }
            hasDogStatsDField = true
        } else if field.count >= 2, (lead == 0x63 || lead == 0x65) && field[1] == 0x3a {  // c: e:
            if lead == 0x63 { containerFields &+= 1 } else { externalDataFields &+= 1 }
            hasDogStatsDField = true
        } else if lead == 0x54, field.count >= 2, field[1...].allSatisfy({ $0 &- 0x30 < 10 }) {  // T
            explicitTimestamps &+= 1
            hasDogStatsDField = true
        } else if field.count >= 5, field[..<5].elementsEqual("card:".utf8) {
            cardinalityFields &+= 1
            hasDogStatsDField = true
        } else {
            unknownFields &+= 1
        }
    }

    /// Decides what the explicit signs of this line's gauges mean.
    private mutating func settleSigns() {
        let isLevel: Bool
        switch signPolicy {
        case .level: isLevel = true
        case .change: isLevel = false
        case .auto:
            isLevel = hasDogStatsDField || contains(name, "statistic=") || contains(name, ".statistic.value")
        }
        for index in 0..<sampleCount where scratch[index].kind == .gauge && scratch[index].isDelta {
            if isLevel {
                scratch[index].isDelta = false
                signedGaugeLevels &+= 1
            } else {
                signedGaugeChanges &+= 1
            }
        }
    }
}

/// Whether `bytes` hold the text `needle`.
private func contains(_ bytes: UnsafeRawBufferPointer, _ needle: String) -> Bool {
    let wanted = Array(needle.utf8)
    guard bytes.count >= wanted.count else { return false }
    return (0...(bytes.count - wanted.count)).contains { start in
        bytes[start..<(start + wanted.count)].elementsEqual(wanted)
    }
}

/// Tells the spellings of NaN and infinity from other text that is no number.
private func classifyBadValue(_ bytes: UnsafePointer<UInt8>, _ text: Range<Int>) -> LineRejection {
    var start = text.lowerBound
    if start < text.upperBound, bytes[start] == 0x2d || bytes[start] == 0x2b { start += 1 }
    let word = (start..<min(text.upperBound, start + 9)).map { bytes[$0] | 0x20 }
    let isNamed = ["nan", "inf", "infinity"].contains { $0.utf8.elementsEqual(word) }
    return isNamed ? .notANumber : .badValue
}
