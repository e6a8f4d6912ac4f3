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

        init(name: String, kind: MetricFamilyKind) {
            self.name = name
            self.kind = kind
        }

        init(_ identity: MetricIdentity) {
            switch identity.kind {
            case .counter: kind = .counter
            case .gauge: kind = .gauge
            case .timer, .histogram, .distribution: kind = .histogram
            case .set: kind = .distinct
            }
            name = MetricNaming.familyName(
                of: identity.name, kind: identity.kind, isExact: identity.isExactName)
        }
    }

    private static let chunkBytes = 256 << 10
    /// Names as sent that are remembered for a family, to tell collisions.
    private static let sentNamesPerFamily = 16

    private(set) var families: [MetricFamily] = []
    /// Of each family: its name before a suffix that settles a conflict.
    private(set) var keyNames: [String] = []
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

    /// The series of an identity, made on first sight, and the counter that goes with it.
    mutating func register(_ identity: MetricIdentity) -> SeriesRegistration {
        var registration = registerOne(identity)
        registration.scale = identity.scale
        if let counter = identity.countingCounter { registration.counter = registerOne(counter).id }
        return registration
    }

    private mutating func registerOne(_ identity: MetricIdentity) -> SeriesRegistration {
        let family = familyID(of: identity)
        let (text, duplicates) = MetricNaming.labelText(
            identity.labels, own: identity.ownKeys, isHistogram: families[Int(family)].kind == .histogram)
        counts.duplicateLabels += UInt64(duplicates)
        return register(family, text)
    }

    /// The series of an identity that is translated already.
    /// - Parameters:
    ///   - name: without `_total` for counters.
    ///   - labels: the text between the braces of a sample line.
    ///   - bounds: those of a histogram; only the first series of a family decides. Beyond the limits of lists, the
    ///     list of the unit is used.
    mutating func register(
        family name: String, kind: MetricFamilyKind, labels text: [UInt8], help: String, bounds: [Double]? = nil
    ) -> SeriesRegistration {
        register(familyID(translated: name, kind: kind, help: help, bounds: bounds), text)
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
        let standard: ClassicBuckets = name.hasSuffix("_seconds") ? .durations : .wide
        let own = bounds.flatMap { ClassicBuckets.of($0, reserve: ClassicBuckets.reservedLayouts) }
        let buckets = kind == .histogram ? own ?? standard : nil
        let family = MetricFamily(name: name, kind: kind, help: help, buckets: buckets)
        return addFamily(key, family, sentName: Array(name.utf8))
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
        let id = add(family, Self.overflowText)
        states[Int(family)].overflow = id
        return id
    }

    /// What ``register(_:)`` would find or make, without making it.
    func preview(_ identity: MetricIdentity) -> SeriesPreview {
        let key = FamilyKey(identity)
        let known = familyIDs[key]
        // A layout is numbered when a family is made with it, not when somebody asks.
        var family = known.map { families[Int($0)] } ?? newFamily(key, identity, buckets: ClassicBuckets.known)
        if known == nil { resolveConflict(of: &family, key) }
        let (text, duplicates) = MetricNaming.labelText(
            identity.labels, own: identity.ownKeys, isHistogram: family.kind == .histogram)
        var preview = SeriesPreview(
            family: family, labels: text.withUnsafeBytes { MetricNaming.labels(of: $0) }, repeatedLabels: duplicates)
        preview.bounds = known == nil ? identity.buckets ?? family.buckets?.bounds : family.buckets?.bounds
        if family.kind != .histogram { preview.bounds = nil }
        preview.isKnown = known.map { find($0, text) != nil } ?? false
        let isFamilyFull = known.map { states[Int($0)].seriesCount >= limits.seriesPerFamily } ?? false
        preview.isOverflow =
            !preview.isKnown
            && (isFamilyFull || counts.series >= UInt64(limits.series)
                || known == nil && families.count >= limits.families)
        return preview
    }

    private mutating func familyID(of identity: MetricIdentity) -> UInt32 {
        let key = FamilyKey(identity)
        if let known = familyIDs[key] {
            noteSentName(identity.sentName, of: known)
            return known
        }
        if families.count >= limits.families { return overflowFamily(key.kind, identity.kind) }
        return addFamily(key, newFamily(key, identity), sentName: identity.sentName)
    }

    private func newFamily(
        _ key: FamilyKey, _ identity: MetricIdentity, buckets: ([Double]) -> ClassicBuckets? = { ClassicBuckets.of($0) }
    ) -> MetricFamily {
        let standard: ClassicBuckets = key.name.hasSuffix("_seconds") || identity.kind == .timer ? .durations : .wide
        return MetricFamily(
            name: key.name, kind: key.kind, help: identity.help ?? helpText(identity.sentName, identity.kind),
            buckets: key.kind == .histogram ? identity.buckets.flatMap(buckets) ?? standard : nil)
    }

    private func resolveConflict(of family: inout MetricFamily, _ key: FamilyKey) {
        var attempt = 1
        while family.reservedNames.contains(where: reservedNames.contains) {
            let tail = attempt == 1 ? key.kind.conflictSuffix : key.kind.conflictSuffix + "_\(attempt)"
            family.name = key.name + tail
            attempt += 1
        }
    }

    private mutating func noteSentName(_ name: [UInt8], of family: UInt32) {
        let index = Int(family)
        guard states[index].sentNames.count < Self.sentNamesPerFamily else { return }
        // A family that an earlier process has seen comes without the names it was sent under.
        let isFirst = states[index].sentNames.isEmpty
        if states[index].sentNames.insert(name).inserted, !isFirst { counts.nameCollisions += 1 }
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
        var identity = MetricIdentity(name: Array(name.utf8), labels: [], kind: kind)
        identity.help = "Samples of families beyond the limit of families"
        return addFamily(key, newFamily(key, identity), sentName: [])
    }

    private mutating func addFamily(_ key: FamilyKey, _ wanted: MetricFamily, sentName: [UInt8]) -> UInt32 {
        let id = UInt32(families.count)
        var family = wanted
        resolveConflict(of: &family, key)
        if family.name != key.name { counts.typeConflicts += 1 }
        adopt(family, key, FamilyState(sentNames: [sentName]))
        return id
    }

    private mutating func adopt(_ family: MetricFamily, _ key: FamilyKey, _ state: FamilyState) {
        reservedNames.formUnion(family.reservedNames)
        familyIDs[key] = UInt32(families.count)
        families.append(family)
        keyNames.append(key.name)
        states.append(state)
        counts.families += 1
    }

    /// Takes back the next family of an earlier process.
    /// - Returns: false when it is there already.
    mutating func restore(_ family: MetricFamily, keyName: String) -> Bool {
        let key = FamilyKey(name: keyName, kind: family.kind)
        guard familyIDs[key] == nil else { return false }
        adopt(family, key, FamilyState())
        return true
    }

    /// Takes back the next series of an earlier process.
    /// - Returns: false when its family is not there or it is there already.
    mutating func restoreSeries(family: UInt64, text: [UInt8]) -> Bool {
        guard family < UInt64(families.count) else { return false }
        let family = UInt32(family)
        guard find(family, text) == nil else { return false }
        let id = add(family, text)
        if text == Self.overflowText {
            states[Int(family)].overflow = id
        } else {
            states[Int(family)].seriesCount += 1
            counts.series += 1
        }
        return true
    }

    private static let overflowText = Array("\(MetricNaming.overflowLabel)=\"true\"".utf8)

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
