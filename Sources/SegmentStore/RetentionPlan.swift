internal import Synchronization

/// What retention does next: whole segments go, and none of them with a pinned trace in it.
///
/// In this order: what is too old for its class; the oldest of each class that has more than its bytes; then, while all
/// together have more than they may, the oldest, those of the lowest class first when there are rules for classes. A
/// segment that holds a pin, or traces of several classes of which not all are to go, is sorted by compaction first.
/// Source: schemas/disk/segment.md, "Classes".
struct RetentionPlan {
    /// Segments to remove.
    private(set) var victims: Set<UInt64> = []
    /// Segments to rewrite, by class, before something of them is removed.
    private(set) var splits: Set<UInt64> = []

    private enum Fate {
        case removed
        case splitFirst
        case kept
    }

    private let policy: RetentionPolicy
    private let canSplit: (UInt64) -> Bool
    private let holdsPin: (StoredSegment) -> Bool
    private var pinned: [UInt64: Bool] = [:]

    init(
        _ policy: RetentionPolicy, canSplit: @escaping (UInt64) -> Bool, holdsPin: @escaping (StoredSegment) -> Bool
    ) {
        self.policy = policy
        self.canSplit = canSplit
        self.holdsPin = holdsPin
    }

    /// - Parameters:
    ///   - otherBytes: what the byte limit covers besides the segments.
    ///   - trusted: see ``RetentionClock``; nil: nothing is too old.
    mutating func fill(_ segments: [StoredSegment], otherBytes: UInt64, trusted: UInt64?, byteLimit: UInt64) {
        let oldest = segments.sorted { ($0.entry.latestArrival, $0.entry.id) < ($1.entry.latestArrival, $1.entry.id) }
        if let trusted { expire(oldest, trusted) }
        for kind in [RetentionClass.ordinary, .slow, .error] {
            guard let limit = policy.classes[kind]?.bytes else { continue }
            shrink(oldest.filter { $0.budgetClass == kind }, other: 0, to: limit, isPressed: false)
        }
        let order = policy.separates ? oldest.sorted { $0.budgetClass.rawValue < $1.budgetClass.rawValue } : oldest
        shrink(order, other: otherBytes, to: byteLimit, isPressed: true)
    }

    private mutating func expire(_ segments: [StoredSegment], _ trusted: UInt64) {
        for segment in segments {
            let arrival = segment.entry.latestArrival
            let age = trusted > arrival ? trusted - arrival : 0
            let limits = policy.ages(of: segment.retentionClass)
            guard limits.contains(where: { age > $0 }) else { continue }
            settle(segment, fate(segment, isWhole: limits.allSatisfy { age > $0 }, isPressed: false))
        }
    }

    /// Goes through the segments in their order until no more than `limit` bytes are left, or until one of them must be
    /// sorted: the next look goes on.
    private mutating func shrink(_ segments: [StoredSegment], other: UInt64, to limit: UInt64, isPressed: Bool) {
        var left = segments.reduce(other) { $0 &+ (victims.contains($1.entry.id) ? 0 : $1.entry.byteCount) }
        for segment in segments where !victims.contains(segment.entry.id) {
            guard left > limit else { return }
            let isWhole = segment.retentionClass != .mixed || !policy.separates
            let fate = fate(segment, isWhole: isWhole, isPressed: isPressed)
            settle(segment, fate)
            switch fate {
            case .removed: left -= min(left, segment.entry.byteCount)
            case .splitFirst: return
            case .kept: continue
            }
        }
    }

    /// - Parameters:
    ///   - isWhole: none of its traces is worth more than those that are to go, pins aside.
    ///   - isPressed: the disk needs its bytes; where it cannot be sorted, everything but pins goes with it.
    private mutating func fate(_ segment: StoredSegment, isWhole: Bool, isPressed: Bool) -> Fate {
        let isPinned = pinned[segment.entry.id] ?? (segment.retentionClass == .pinned || holdsPin(segment))
        pinned[segment.entry.id] = isPinned
        if segment.retentionClass == .pinned { return .kept }
        if !isPinned, isWhole { return .removed }
        if canSplit(segment.entry.id) { return .splitFirst }
        return !isPinned && isPressed ? .removed : .kept
    }

    private mutating func settle(_ segment: StoredSegment, _ fate: Fate) {
        switch fate {
        case .removed: victims.insert(segment.entry.id)
        case .splitFirst: splits.insert(segment.entry.id)
        case .kept: break
        }
    }
}

extension RetentionPolicy {
    /// Whether errors, slow and ordinary traces are kept apart.
    var separates: Bool { classes.contains { $0.key != .pinned && $0.key != .mixed } }

    /// How long each class in a segment is kept; nothing for one that is kept for ever.
    func ages(of kind: RetentionClass) -> [UInt64] {
        switch kind {
        case .pinned: []
        case .mixed where separates: [RetentionClass.ordinary, .slow, .error].map { age(of: $0) ?? .max }
        default: [age(of: kind) ?? .max]
        }
    }

    /// Nanoseconds since arrival; nil: for ever.
    func age(of kind: RetentionClass) -> UInt64? { classes[kind]?.age ?? age }

    /// What merges of a class keep to, so that retention is not much later or coarser than it is told.
    func runLimits(of kind: RetentionClass) -> (arrivals: UInt64, bytes: UInt64) {
        let age = ages(of: kind).min() ?? .max
        let budget = min(bytes ?? .max, classes[kind == .mixed ? .ordinary : kind]?.bytes ?? .max)
        return (age == .max ? .max : age / 8, budget == .max ? .max : budget / 8)
    }

    /// How long a head may take spans when `general` is the usual time: only segments are removed, so a head must be
    /// sealed well before its spans are too old.
    func headAge(_ general: UInt64) -> UInt64 {
        let shortest = RetentionClass.allCases.compactMap { ages(of: $0).min() }.min() ?? .max
        return shortest == .max ? general : min(general, max(1_000_000_000, shortest / 4))
    }

    /// How large a head may become when `general` is the usual size: its rows and its WAL count too.
    func headBytes(_ general: Int) -> Int {
        bytes.map { min(general, max(64 << 10, Int(clamping: $0 / 4))) } ?? general
    }
}

extension StoredSegment {
    /// Whose budget its bytes count in.
    var budgetClass: RetentionClass { retentionClass == .mixed ? .ordinary : retentionClass }
}

extension SegmentStore {
    func retentionPlan(
        _ policy: RetentionPolicy, _ segments: [StoredSegment], otherBytes: UInt64, trusted: UInt64?,
        byteLimit: UInt64, _ state: UpkeepState
    ) -> RetentionPlan {
        let (pins, tombstones) = shared.withLock { ($0.pins, $0.tombstones) }
        let now = monotonicMilliseconds()
        var plan = RetentionPlan(policy) { [isOn = configuration.compaction.isOn] id in
            isOn && now >= state.blocked[id] ?? 0
        } holdsPin: { [self] in
            !pins.isEmpty && holdsPin($0, pins, tombstones)
        }
        plan.fill(segments, otherBytes: otherBytes, trusted: trusted, byteLimit: byteLimit)
        return plan
    }
}
