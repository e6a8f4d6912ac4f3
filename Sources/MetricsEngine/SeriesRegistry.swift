internal import Telemetry

/// Numbers series: family and label text to a dense id. Bounded; says what it refused by the overflow series.
///
/// The text of a series stays where it is until the series is removed, which happens under the store's lock too: who
/// holds that may read the text of every series the store knows.
struct SeriesRegistry: ~Copyable {
    struct Series: @unchecked Sendable {
        let family: UInt32
        let textBytes: UInt32
        let text: UnsafeMutableRawPointer

        /// Stands in `family` of a removed series, whose text is empty and whose number is free.
        static let removed = UInt32.max

        var isRemoved: Bool { family == Self.removed }

        /// What stands in the place of a removed series.
        var vacancy: Series { Series(family: Self.removed, textBytes: 0, text: text) }

        var labels: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: text, count: Int(textBytes)) }
    }

    struct FamilyState {
        var sentNames: Set<[UInt8]> = []
        var seriesCount = 0
        /// Overflow series with labels.
        var overflowCount = 0
        var refused: UInt64 = 0
        var growth = MinuteCount()
        /// Position in `conflicts`.
        var conflict: Int?
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

    /// Names as sent that are remembered for a family, to tell collisions.
    private static let sentNamesPerFamily = 16

    private(set) var families: [MetricFamily] = []
    /// Of each family: its name before a suffix that settles a conflict.
    private(set) var keyNames: [String] = []
    private(set) var series: [Series] = []
    private(set) var counts = SeriesCounts()
    private(set) var states: [FamilyState] = []
    private(set) var sources: SeriesSources
    private(set) var conflicts: [TypeConflict] = []
    /// Unix time as the engine last told it.
    private(set) var second: Int64 = 0
    private var familyIDs: [FamilyKey: UInt32] = [:]
    /// Every name a family takes, and the family.
    private var reservedNames: [String: UInt32] = [:]
    private(set) var limits: SeriesLimits
    private let overflowLabels: [[UInt8]]
    private var labelledOverflows = 0
    /// The identity at hand met the limit of families.
    private var isFamilyRefused = false
    /// Numbers of removed series; one that has a series again meanwhile is skipped.
    private var freeIDs: [UInt32] = []
    /// The series of the batch under way that nobody has found again.
    private var retiring: Set<UInt32> = []
    /// Numbers given out anew since ``takeReused()``.
    private var reused: [UInt32] = []
    /// Expiry times that a rule has set; and those that the engine has not heard of yet, 0 for one that is gone.
    private(set) var lifetimes: [UInt32: Int64] = [:]
    private var newLifetimes: [SeriesLifetime] = []
    private var index = SeriesIndex()
    private var arena = LabelArena()

    init(limits: SeriesLimits) {
        self.limits = limits
        sources = SeriesSources(labels: limits.sourceLabels)
        overflowLabels = LabelText.forms(of: limits.overflowLabels)
    }

    /// Takes other numbers; which labels name a source and which an overflow series keeps stays as it is. Series beyond
    /// a limit that went down stay.
    mutating func setLimits(_ next: SeriesLimits) {
        limits.series = next.series
        limits.seriesPerFamily = next.seriesPerFamily
        limits.seriesPerSource = next.seriesPerSource
        limits.families = next.families
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
        let registration = register(family, text, sentName: identity.sentName, seriesLimit: identity.seriesLimit)
        if !registration.isOverflow { setLifetime(identity.expirySeconds ?? 0, of: registration.id) }
        return registration
    }

    /// The rule that a series was last found by decides.
    mutating func setLifetime(_ seconds: Int64, of id: UInt32) {
        guard seconds != lifetimes[id] ?? 0 else { return }
        lifetimes[id] = seconds == 0 ? nil : seconds
        newLifetimes.append(SeriesLifetime(series: id, seconds: seconds))
    }

    /// What was set since the last call.
    mutating func takeLifetimes() -> [SeriesLifetime] {
        defer { newLifetimes = [] }
        return newLifetimes
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
        register(
            familyID(translated: name, kind: kind, help: help, bounds: bounds), text, sentName: Array(name.utf8))
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

    private mutating func register(
        _ family: UInt32, _ text: [UInt8], sentName: [UInt8], seriesLimit: Int? = nil
    ) -> SeriesRegistration {
        let isCounted = isFamilyRefused
        isFamilyRefused = false
        if let known = find(family, text) { return registration(known) }
        noteConflict(family, name: sentName, labels: text)
        let source = sources.key(of: text)
        if let limit = exceededLimit(family, source: source, seriesLimit) {
            // A key is counted once, by the first limit it met.
            if !isCounted { counts.overflowed[keyPath: limit] += 1 }
            states[Int(family)].refused += 1
            if let source { sources.refuse(source) }
            var shared = registration(overflow(of: family, text: text))
            shared.isOverflow = true
            return shared
        }
        states[Int(family)].growth.add(second: second)
        let id = add(family, text)
        count(id, source: source)
        return registration(id)
    }

    /// Counts a series that is no overflow series.
    private mutating func count(_ id: UInt32, source: [UInt8]?) {
        states[Int(series[Int(id)].family)].seriesCount += 1
        counts.series += 1
        if let source { sources.add(source, second: second) }
    }

    private func exceededLimit(
        _ family: UInt32, source: [UInt8]?, _ seriesLimit: Int? = nil
    ) -> WritableKeyPath<OverflowCounts, UInt64>? {
        if counts.series >= UInt64(limits.series) { return \.total }
        let familyLimit = min(limits.seriesPerFamily, seriesLimit ?? .max)
        if states[Int(family)].seriesCount >= familyLimit { return \.family }
        if let source, sources.series(of: source) >= limits.seriesPerSource { return \.source }
        return nil
    }

    /// Whoever registers a series again keeps it from being removed with the batch under way.
    private mutating func registration(_ id: UInt32) -> SeriesRegistration {
        if !retiring.isEmpty { retiring.remove(id) }
        return SeriesRegistration(id: id, buckets: families[Int(series[Int(id)].family)].buckets)
    }

    /// The overflow series that keeps what it may of a label text; the family's plain one when there are too many.
    private mutating func overflow(of family: UInt32, text: [UInt8]) -> UInt32 {
        let kept = LabelText.overflow(of: text, keeping: overflowLabels)
        if let known = find(family, kept) { return known }
        let plain = LabelText.plainOverflow
        if kept != plain, labelledOverflows < Limits.overflowSeries,
            states[Int(family)].overflowCount < Limits.overflowSeriesPerFamily
        {
            labelledOverflows += 1
            states[Int(family)].overflowCount += 1
            return add(family, kept)
        }
        return find(family, plain) ?? add(family, plain)
    }

    private mutating func noteConflict(_ family: UInt32, name: [UInt8], labels: [UInt8]) {
        guard let index = states[Int(family)].conflict else { return }
        if conflicts[index].keys == 0 {
            conflicts[index].exampleName = String(decoding: name, as: UTF8.self)
            conflicts[index].exampleLabels = String(decoding: labels, as: UTF8.self)
        }
        conflicts[index].keys += 1
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
        preview.isOverflow = !preview.isKnown && isBeyondLimits(known, text)
        return preview
    }

    /// - Parameter family: nil for one that is not there yet.
    private func isBeyondLimits(_ family: UInt32?, _ text: [UInt8]) -> Bool {
        if let family { return exceededLimit(family, source: sources.key(of: text)) != nil }
        if counts.series >= UInt64(limits.series) || families.count >= limits.families { return true }
        return sources.key(of: text).map { sources.series(of: $0) >= limits.seriesPerSource } ?? false
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
        while owner(ofNamesOf: family) != nil {
            let tail = attempt == 1 ? key.kind.conflictSuffix : key.kind.conflictSuffix + "_\(attempt)"
            family.name = key.name + tail
            attempt += 1
        }
    }

    /// The family that has one of the names that `family` needs.
    private func owner(ofNamesOf family: MetricFamily) -> UInt32? {
        for name in family.reservedNames {
            if let owner = reservedNames[name] { return owner }
        }
        return nil
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
        counts.overflowed.families += 1
        isFamilyRefused = true
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
        let id = UInt32(families.count)
        var wanted = family
        wanted.name = key.name
        let owner = family.name == key.name ? nil : owner(ofNamesOf: wanted)
        for name in family.reservedNames { reservedNames[name] = id }
        familyIDs[key] = id
        families.append(family)
        keyNames.append(key.name)
        states.append(state)
        counts.families += 1
        if let owner { listConflict(key.name, kept: families[Int(owner)], renamed: family) }
    }

    /// Bounded by the number of families.
    private mutating func listConflict(_ name: String, kept: MetricFamily, renamed: MetricFamily) {
        states[states.count - 1].conflict = conflicts.count
        conflicts.append(
            TypeConflict(
                name: name, kept: kept.name, keptKind: kept.kind, renamed: renamed.name, renamedKind: renamed.kind,
                firstSeenSecond: second, keys: 0, exampleName: "", exampleLabels: ""))
    }

    /// Takes back the next family of an earlier process.
    /// - Returns: false when it is there already.
    mutating func restore(_ family: MetricFamily, keyName: String) -> Bool {
        let key = FamilyKey(name: keyName, kind: family.kind)
        guard familyIDs[key] == nil else { return false }
        adopt(family, key, FamilyState())
        return true
    }

    /// Takes back a series of an earlier process.
    /// - Parameter id: the number it has again; nil: the next one.
    /// - Returns: false when its family is not there, it is there already or the number is not free.
    mutating func restoreSeries(family: UInt64, text: [UInt8], id: UInt32? = nil) -> Bool {
        guard family < UInt64(families.count) else { return false }
        let family = UInt32(family)
        guard find(family, text) == nil else { return false }
        if let id {
            guard Int(id) < series.count, series[Int(id)].isRemoved else { return false }
            freeIDs.append(id)
        }
        let added = add(family, text, isNew: id == nil)
        if LabelText.isOverflow(series[Int(added)].labels) {
            guard text != LabelText.plainOverflow else { return true }
            labelledOverflows += 1
            states[Int(family)].overflowCount += 1
        } else {
            count(added, source: sources.key(of: text))
        }
        return true
    }

    /// Takes back the next number as one that is free.
    mutating func restoreVacancy() {
        let id = UInt32(series.count)
        series.append(Series(family: Series.removed, textBytes: 0, text: arena.store([])))
        freeIDs.append(id)
    }

    // MARK: The engine's clock, removal

    mutating func setNow(_ second: Int64) {
        if self.second == 0 {
            for index in conflicts.indices where conflicts[index].firstSeenSecond == 0 {
                conflicts[index].firstSeenSecond = second
            }
        }
        self.second = second
    }

    /// The numbers that were given out anew since the last call.
    mutating func takeReused() -> [UInt32] {
        defer { reused = [] }
        return reused
    }

    /// Begins to watch for series of a batch being found again.
    mutating func retire(_ ids: [UInt32]) { retiring = Set(ids) }

    /// Ends the watch.
    /// - Returns: those of `ids` that nobody has found again.
    mutating func endRetiring(_ ids: [UInt32]) -> [UInt32] {
        defer { retiring = [] }
        return ids.filter { retiring.contains($0) }
    }

    /// Removes series that are there; their numbers and texts go to others from now on.
    mutating func remove(_ ids: [UInt32]) {
        for id in ids where !series[Int(id)].isRemoved {
            let entry = series[Int(id)]
            index.remove(id, of: series)
            uncount(entry)
            arena.giveBack(entry.text, bytes: Int(entry.textBytes))
            series[Int(id)] = entry.vacancy
            lifetimes[id] = nil
            freeIDs.append(id)
        }
    }

    private mutating func uncount(_ entry: Series) {
        let text = Array(entry.labels)
        if !LabelText.isOverflow(entry.labels) {
            counts.series -= 1
            states[Int(entry.family)].seriesCount -= 1
            sources.remove(text)
        } else if text != LabelText.plainOverflow {
            labelledOverflows -= 1
            states[Int(entry.family)].overflowCount -= 1
        }
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

    private func find(_ family: UInt32, _ text: [UInt8]) -> UInt32? { index.find(family, text, of: series) }

    private mutating func add(_ family: UInt32, _ text: [UInt8], isNew: Bool = false) -> UInt32 {
        let entry = Series(family: family, textBytes: UInt32(text.count), text: arena.store(text))
        while !isNew, let id = freeIDs.popLast() {
            guard series[Int(id)].isRemoved else { continue }
            series[Int(id)] = entry
            reused.append(id)
            index.insert(id, of: series)
            return id
        }
        let id = UInt32(series.count)
        series.append(entry)
        index.insert(id, of: series)
        return id
    }
}
