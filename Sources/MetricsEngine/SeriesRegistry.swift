internal import Telemetry

/// Numbers series: family and label text to a dense id. Bounded; says what it refused by the overflow series.
///
/// Label texts lie in chunks of memory that are never moved or freed, so whoever has learnt of a series may read its
/// text without a lock.
struct SeriesRegistry: ~Copyable {
    struct Series: @unchecked Sendable {
        let family: UInt32
        let textBytes: UInt32
        let text: UnsafeMutableRawPointer

        var labels: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: text, count: Int(textBytes)) }
    }

    private struct FamilyState {
        var sentNames: Set<[UInt8]> = []
        var seriesCount = 0
        var overflow: UInt32?
    }

    private struct FamilyKey: Hashable {
        var name: String
        var kind: MetricFamilyKind
    }

    private static let chunkBytes = 256 << 10
    /// Names as sent that are remembered for a family, to tell collisions.
    private static let sentNamesPerFamily = 16

    private(set) var families: [MetricFamily] = []
    private(set) var series: [Series] = []
    private(set) var counts = SeriesCounts()
    private var states: [FamilyState] = []
    private var familyIDs: [FamilyKey: UInt32] = [:]
    private var reservedNames: Set<String> = []
    private let limits: SeriesLimits
    private let hash = KeyedHash.random()
    private var table: [UInt32]
    private var chunk: UnsafeMutableRawPointer?
    private var chunkRoom = 0

    private static let free = UInt32.max

    init(limits: SeriesLimits) {
        self.limits = limits
        table = Array(repeating: Self.free, count: 1_024)
    }

    /// The series of an identity as sent, made on first sight.
    mutating func register(name: [UInt8], labels: [MetricLabel], kind: MetricKind) -> SeriesRegistration {
        let family = familyID(of: name, kind: kind)
        let (text, duplicates) = MetricNaming.labelText(labels)
        counts.duplicateLabels += UInt64(duplicates)
        return register(family, text)
    }

    /// The series of an identity that is translated already.
    /// - Parameters:
    ///   - name: without `_total` for counters.
    ///   - labels: the text between the braces of a sample line.
    ///   - bounds: those of a histogram; only the first series of a family decides.
    mutating func register(
        family name: String, kind: MetricFamilyKind, labels text: [UInt8], help: String, bounds: [Double]? = nil
    ) -> (series: SeriesRegistration, bounds: [Double]) {
        let family = familyID(translated: name, kind: kind, help: help, bounds: bounds)
        return (register(family, text), families[Int(family)].bounds)
    }

    private mutating func familyID(
        translated name: String, kind: MetricFamilyKind, help: String, bounds: [Double]?
    ) -> UInt32 {
        let key = FamilyKey(name: name, kind: kind)
        if let known = familyIDs[key] { return known }
        if families.count >= limits.families {
            let metricKind: MetricKind =
                switch kind {
                case .counter: .counter
                case .gauge: .gauge
                case .histogram: .histogram
                case .distinct: .set
                }
            return overflowFamily(kind, metricKind)
        }
        let family = addFamily(key, help: help, sentName: Array(name.utf8))
        if kind == .histogram, let bounds, bounds != families[Int(family)].bounds {
            families[Int(family)].buckets = ClassicBuckets.allCases.first { $0.bounds == bounds }
            if families[Int(family)].buckets == nil { families[Int(family)].ownBounds = bounds }
        }
        return family
    }

    private mutating func register(_ family: UInt32, _ text: [UInt8]) -> SeriesRegistration {
        if let known = find(family, text) { return registration(known) }
        let isFull = counts.series >= UInt64(limits.series)
        if isFull || states[Int(family)].seriesCount >= limits.seriesPerFamily {
            counts.overflowed += 1
            return registration(overflow(of: family))
        }
        states[Int(family)].seriesCount += 1
        counts.series += 1
        return registration(add(family, text))
    }

    private func registration(_ id: UInt32) -> SeriesRegistration {
        SeriesRegistration(id: id, buckets: families[Int(series[Int(id)].family)].buckets)
    }

    private mutating func overflow(of family: UInt32) -> UInt32 {
        if let known = states[Int(family)].overflow { return known }
        let id = add(family, Array("\(MetricNaming.overflowLabel)=\"true\"".utf8))
        states[Int(family)].overflow = id
        return id
    }

    private mutating func familyID(of name: [UInt8], kind: MetricKind) -> UInt32 {
        let familyKind: MetricFamilyKind
        switch kind {
        case .counter: familyKind = .counter
        case .gauge: familyKind = .gauge
        case .timer, .histogram, .distribution: familyKind = .histogram
        case .set: familyKind = .distinct
        }
        let key = FamilyKey(name: MetricNaming.familyName(of: name, kind: kind), kind: familyKind)
        if let known = familyIDs[key] {
            noteSentName(name, of: known)
            return known
        }
        if families.count >= limits.families { return overflowFamily(familyKind, kind) }
        return addFamily(key, help: helpText(name, kind), sentName: name)
    }

    private mutating func noteSentName(_ name: [UInt8], of family: UInt32) {
        let index = Int(family)
        guard states[index].sentNames.count < Self.sentNamesPerFamily else { return }
        if states[index].sentNames.insert(name).inserted { counts.nameCollisions += 1 }
    }

    /// The family for samples whose own family would be one too many.
    private mutating func overflowFamily(_ familyKind: MetricFamilyKind, _ kind: MetricKind) -> UInt32 {
        let name =
            switch kind {
            case .counter: "crest_overflow"
            case .gauge: "crest_overflow_value"
            case .timer: "crest_overflow_seconds"
            case .histogram, .distribution: "crest_overflow_distribution"
            case .set: "crest_overflow_unique"
            }
        let key = FamilyKey(name: name, kind: familyKind)
        if let known = familyIDs[key] { return known }
        return addFamily(key, help: "Samples of families beyond the limit of families", sentName: [])
    }

    private mutating func addFamily(_ key: FamilyKey, help: String, sentName: [UInt8]) -> UInt32 {
        let id = UInt32(families.count)
        let buckets: ClassicBuckets? =
            key.kind == .histogram ? (key.name.hasSuffix("_seconds") ? .durations : .wide) : nil
        var family = MetricFamily(name: key.name, kind: key.kind, help: help, buckets: buckets)
        if family.reservedNames.contains(where: reservedNames.contains) {
            counts.typeConflicts += 1
            var attempt = 1
            repeat {
                let tail = attempt == 1 ? key.kind.conflictSuffix : key.kind.conflictSuffix + "_\(attempt)"
                family.name = key.name + tail
                attempt += 1
            } while family.reservedNames.contains(where: reservedNames.contains)
        }
        reservedNames.formUnion(family.reservedNames)
        families.append(family)
        states.append(FamilyState(sentNames: [sentName]))
        familyIDs[key] = id
        counts.families += 1
        return id
    }

    private func helpText(_ name: [UInt8], _ kind: MetricKind) -> String {
        let sent = String(decoding: name, as: UTF8.self)
        return switch kind {
        case .counter: "StatsD counter \"\(sent)\""
        case .gauge: "StatsD gauge \"\(sent)\""
        case .timer: "StatsD timer \"\(sent)\", sent in milliseconds"
        case .histogram: "StatsD histogram \"\(sent)\""
        case .distribution: "StatsD distribution \"\(sent)\""
        case .set: "StatsD set \"\(sent)\", distinct members of the last 10 seconds"
        }
    }

    private func hashed(_ family: UInt32, _ text: UnsafeRawBufferPointer) -> Int {
        Int(truncatingIfNeeded: hash.hash(text, seed: UInt64(family)))
    }

    private func find(_ family: UInt32, _ text: [UInt8]) -> UInt32? {
        text.withUnsafeBytes { bytes in
            var slot = hashed(family, bytes) & (table.count - 1)
            while table[slot] != Self.free {
                let candidate = series[Int(table[slot])]
                if candidate.family == family, candidate.labels.elementsEqual(bytes) { return table[slot] }
                slot = (slot + 1) & (table.count - 1)
            }
            return nil
        }
    }

    private mutating func add(_ family: UInt32, _ text: [UInt8]) -> UInt32 {
        if (series.count + 1) * 2 > table.count { growTable() }
        let id = UInt32(series.count)
        series.append(Series(family: family, textBytes: UInt32(text.count), text: store(text)))
        place(id)
        return id
    }

    private mutating func place(_ id: UInt32) {
        let entry = series[Int(id)]
        var slot = hashed(entry.family, entry.labels) & (table.count - 1)
        while table[slot] != Self.free { slot = (slot + 1) & (table.count - 1) }
        table[slot] = id
    }

    private mutating func growTable() {
        table = Array(repeating: Self.free, count: table.count * 2)
        for id in series.indices { place(UInt32(id)) }
    }

    private mutating func store(_ text: [UInt8]) -> UnsafeMutableRawPointer {
        let needed = max(text.count, 1)
        let place: UnsafeMutableRawPointer
        if let current = chunk, needed <= chunkRoom {
            place = current
        } else {
            chunkRoom = max(Self.chunkBytes, needed)
            place = .allocate(byteCount: chunkRoom, alignment: 16)
        }
        text.withUnsafeBytes { bytes in
            if let base = bytes.baseAddress { place.copyMemory(from: base, byteCount: bytes.count) }
        }
        chunk = place + needed
        chunkRoom -= needed
        return place
    }
}
