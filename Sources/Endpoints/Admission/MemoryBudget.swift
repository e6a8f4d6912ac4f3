internal import Synchronization
package import Telemetry

/// The bytes that requests may hold at once, from the head of a request until its answer: one for the whole process.
///
///     0 ---------- 60 % -------- 75 % -------- 85 % ----------- 100 %
///        green         yellow        orange        red: what is underway may grow, nothing new is let in
///
/// While requests queue for too long, new ones are measured by what is worked off in time, see ``QueueBound``.
///
/// Reserving is one atomic addition. Ten times a second whoever reserves also looks at the process's resident memory,
/// which the reservations cannot know: beyond the limit the budget is a tenth until that has passed. It is never
/// nothing, because memory that requests did not take does not come back by refusing them.
package final class MemoryBudget: Sendable {
    /// What the budget asks of its surroundings.
    package struct Probe: Sendable {
        /// Nanoseconds of a clock that never steps.
        package var now: @Sendable () -> UInt64
        /// Bytes of resident memory; zero when that is not known.
        package var residentBytes: @Sendable () -> Int
        /// Nanoseconds that the disk takes to sync a group of writes; zero when that is not known.
        package var syncNanoseconds: @Sendable () -> UInt64

        package init(
            now: @escaping @Sendable () -> UInt64, residentBytes: @escaping @Sendable () -> Int = { 0 },
            syncNanoseconds: @escaping @Sendable () -> UInt64 = { 0 }
        ) {
            self.now = now
            self.residentBytes = residentBytes
            self.syncNanoseconds = syncNanoseconds
        }

        /// A clock that stands still and memory that is never looked at.
        package static let none = Probe(now: { 0 })
    }

    /// What the process may use.
    package let limitBytes: Int
    /// The part of it that requests may hold.
    package let requestBytes: Int
    /// Of one body, as sent and inflated.
    package let bodyBytes: Int
    package let signal: LoadSignal
    private let probe: Probe
    private let reserved = Atomic<Int>(0)
    private let released = Atomic<UInt64>(0)
    private let isOverLimit = Atomic<Bool>(false)
    private let resident = Atomic<Int>(0)
    private let nextLook = Atomic<UInt64>(0)
    private let refusedAt = Atomic<UInt64>(0)
    /// Bytes given back a second, smoothed; zero before anything was seen.
    private let drainRate = Atomic<UInt64>(0)
    private let lastLook = Mutex(Look())
    private let delay = QueueDelay()
    /// What ``QueueBound`` says.
    private let queueBytes = Atomic<Int>(.max)

    private struct Look {
        var time: UInt64 = 0
        /// Bytes given back until then.
        var released: UInt64 = 0
        var bound = QueueBound()
    }

    package init(
        limitBytes: Int, requestBytes: Int, bodyBytes: Int = Limits.bodyBytes, signal: LoadSignal = LoadSignal(),
        probe: Probe = .none
    ) {
        self.limitBytes = limitBytes
        self.requestBytes = max(requestBytes, 1)
        self.bodyBytes = bodyBytes
        self.signal = signal
        self.probe = probe
    }

    private static let lookNanoseconds: UInt64 = 100_000_000
    /// After a pause of this length the rate before it says nothing.
    private static let staleNanoseconds: UInt64 = 1_000_000_000
    private static let refusingNanoseconds: UInt64 = 1_000_000_000
    /// Requests that wait longer than this, and three syncs of the disk, queue: the group before, one's own, and one
    /// that was slow. A control group that gives a process its time in pieces of 50 ms is no queue.
    private static let longestNanoseconds: UInt64 = 100_000_000
    /// What is held should be worked off within this then, and the syncs.
    private static let targetNanoseconds: UInt64 = 40_000_000
    private static let syncsInTarget: UInt64 = 3

    /// Takes `count` bytes when there is room for them. Whoever finds nothing held gets any count.
    /// - Parameter isNew: not let in while the state is red.
    package func reserve(_ count: Int, isNew: Bool) -> Bool {
        let now = probe.now()
        look(now)
        let total = reserved.add(count, ordering: .relaxed).newValue
        let before = total &- count
        let isRed = LoadState(sharePercent: before.multipliedCapped(by: 100) / capacity) == .red
        if before <= 0 || total <= memoryCapacity && !(isNew && isRed) {
            publish(total)
            return true
        }
        publish(reserved.subtract(count, ordering: .relaxed).newValue)
        refusedAt.store(now, ordering: .relaxed)
        return false
    }

    /// A request was refused for another reason than its memory.
    func noteRefusal(now: UInt64) { refusedAt.store(now, ordering: .relaxed) }

    package func release(_ count: Int) {
        guard count > 0 else { return }
        released.add(UInt64(count), ordering: .relaxed)
        publish(reserved.subtract(count, ordering: .relaxed).newValue)
    }

    /// What the largest request takes.
    package static func mostRequestBytes(body: Int) -> Int { MemoryReservation.Weight.most(body: body) }

    package var reservedBytes: Int { reserved.load(ordering: .relaxed) }
    /// As of the last look.
    package var residentBytes: Int { resident.load(ordering: .relaxed) }
    /// What requests may hold at the moment.
    var memoryCapacity: Int { isOverLimit.load(ordering: .relaxed) ? max(requestBytes / 10, 1) : requestBytes }
    /// The same, or what is worked off in time when that is less: what new requests are measured by.
    var capacity: Int { min(memoryCapacity, queueBytes.load(ordering: .relaxed)) }
    /// What is worked off in time; nil while requests do not queue.
    package var queueBound: Int? {
        let bytes = queueBytes.load(ordering: .relaxed)
        return bytes == .max ? nil : bytes
    }

    /// Whether a request was refused within the last second.
    package var isRefusing: Bool {
        let refused = refusedAt.load(ordering: .relaxed)
        return refused > 0 && probe.now() < refused &+ Self.refusingNanoseconds
    }

    /// A request has waited for a thread.
    /// - Parameter nanoseconds: since the end of its body.
    package func noteWait(_ nanoseconds: UInt64) { delay.note(nanoseconds) }

    /// A request waits for the store. True: ``waitEnded()`` must be told of its answer.
    func waitBegan() -> Bool { delay.begin(now: probe.now()) }
    func waitEnded() { delay.end(now: probe.now()) }

    /// 0...100.
    package var loadPercent: Int { min(reservedBytes.multipliedCapped(by: 100) / capacity, 100) }

    /// How long what is held now takes to be given back at the present rate; zero when that is not known.
    package var drainSeconds: Double {
        let rate = drainRate.load(ordering: .relaxed)
        return rate == 0 ? 0 : Double(reservedBytes) / Double(rate)
    }

    /// The state is that of the memory alone: who was let in before requests queued is not refused or shed for it.
    private func publish(_ total: Int) {
        let state = LoadState(sharePercent: total.multipliedCapped(by: 100) / memoryCapacity)
        if signal.state != state { signal.set(state) }
    }

    private func look(_ now: UInt64) {
        let due = nextLook.load(ordering: .relaxed)
        guard now >= due else { return }
        let next = now &+ Self.lookNanoseconds
        guard nextLook.compareExchange(expected: due, desired: next, ordering: .relaxed).exchanged else { return }
        let bytes = probe.residentBytes()
        resident.store(bytes, ordering: .relaxed)
        isOverLimit.store(bytes > limitBytes, ordering: .relaxed)
        lastLook.withLock { last in
            let total = released.load(ordering: .relaxed)
            let elapsed = now &- last.time
            var rate = 0.0
            if last.time > 0, elapsed < Self.staleNanoseconds, elapsed > 0 {
                rate = Double(total &- last.released) * 1e9 / Double(elapsed)
                measure(rate)
            } else {
                last.bound = QueueBound()
                delay.forget()
            }
            (last.time, last.released) = (now, total)
            let syncs = probe.syncNanoseconds() &* Self.syncsInTarget
            last.bound.look(
                delay: delay.take(now: now), longest: Self.longestNanoseconds &+ syncs,
                target: Self.targetNanoseconds &+ syncs,
                rate: max(rate, Double(drainRate.load(ordering: .relaxed))), floor: requestBytes / 32)
            queueBytes.store(last.bound.bytes, ordering: .relaxed)
        }
    }

    /// Three tenths of the newest rate, seven of the one before.
    private func measure(_ rate: Double) {
        let before = Double(drainRate.load(ordering: .relaxed))
        let smoothed = before == 0 ? rate : before * 0.7 + rate * 0.3
        // Once something is known, standing still is known too.
        let isKnown = before > 0 || rate > 0
        drainRate.store(isKnown ? UInt64(max(smoothed, 1)) : 0, ordering: .relaxed)
    }
}

extension LoadState {
    /// By the percent of the memory budget that is held.
    init(sharePercent: Int) {
        switch sharePercent {
        case ..<60: self = .green
        case ..<75: self = .yellow
        case ..<86: self = .orange
        default: self = .red
        }
    }
}

extension Int {
    func multipliedCapped(by factor: Int) -> Int {
        let (product, overflow) = multipliedReportingOverflow(by: factor)
        return overflow ? .max : product
    }
}
