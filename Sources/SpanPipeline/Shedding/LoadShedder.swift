internal import Synchronization
package import Telemetry

/// Who sent spans, and so what can be done about them.
package enum SpanSender: Sendable {
    /// Gets an answer and can send again.
    case client
    /// A client whose tenant holds no more than its share of the memory while others crowd it, as what they hold is not
    /// its to pay for; or whose request alone takes what there is. Only the wait for the store counts.
    case spared
    /// A client whose tenant holds less than half of what tenants hold on the average while others do more: neither
    /// counts.
    case light
    /// A datagram: nobody can be told.
    case datagram
}

/// What is taken of a batch, and what of earlier ones should be stored after all.
package struct ShedDecision: Sendable {
    package enum Share: Sendable {
        case all
        /// The other spans are shed and counted.
        case some(SpanSelection)
        /// Nothing; the client should send the same again. Counted as busy.
        case none
    }

    package var share: Share
    package var rescues: [Rescue] = []
}

/// Decides under load which traces are taken, so that whole traces survive or go and important ones survive.
///
///     state     taken, by class                              level   also taken only below the admission level
///     green     p1 p2 p3                                     256
///     yellow    p1 p2                                        128
///     orange    p1, and the rest of traces already taken     0
///     red       nothing; of datagrams as orange              0
///
/// A trace is judged by its first spans that come, and what was decided holds for those that follow within some ten
/// seconds. From the first span on that failed or was slow the trace is important for five minutes, and what was shed
/// of it in the last two seconds is rescued from the regret ring.
///
/// With ``MixedBatch/retry`` nothing of a client is shed: the batch as a whole is taken or refused, by its least
/// important trace and by a level that is drawn anew for each attempt, so that no batch is refused for ever.
///
/// Traces are under way when an overload begins, and others when it ends. So in its first second everything is taken
/// and remembered, and for ten seconds after it decisions still hold.
///
/// Idle, a decision costs three atomic loads. Safe from any thread; decisions are made one at a time.
/// Source: schemas/wire/overload.md.
package final class LoadShedder: Sendable {
    package let signal: LoadSignal
    package let admission: AdmissionLevel
    package let mixedBatch: MixedBatch
    private let ledger: Ledger
    private let seed: UInt64
    private let onset: UInt64
    private let clock: @Sendable () -> UInt64
    /// Until when what was decided is still asked for; zero before the first overload.
    private let heldUntil = Atomic<UInt64>(0)
    private let state: Mutex<State>

    private struct State {
        var interesting = RecentTraces(
            slotCount: Limits.interestingSlots, lifetime: Limits.interestingSeconds &* 1_000_000_000)
        var decided = RecentTraces(
            slotCount: Limits.decisionSlots, lifetime: Limits.decisionSeconds &* 1_000_000_000)
        var profiles = LatencyProfiles()
        var traces = TraceParts()
        var ring: RegretRing
        /// When the overload began that is, or was the last one.
        var began: UInt64 = 0
    }

    /// - Parameters:
    ///   - seed: decides with the trace id which traces go first; unknown to strangers.
    ///   - onset: nanoseconds at the beginning of an overload in which traces are only remembered.
    ///   - clock: ``MonotonicTime``.
    package init(
        ledger: Ledger, signal: LoadSignal = LoadSignal(), admission: AdmissionLevel = AdmissionLevel(),
        mixedBatch: MixedBatch = .retry, seed: UInt64 = .random(in: .min ... .max),
        ringBytes: Int = Limits.regretRingBytes, onset: UInt64 = Limits.shedOnsetNanoseconds,
        clock: @escaping @Sendable () -> UInt64 = MonotonicTime.now
    ) {
        self.onset = onset
        self.ledger = ledger
        self.signal = signal
        self.admission = admission
        self.mixedBatch = mixedBatch
        self.seed = seed
        self.clock = clock
        state = Mutex(
            State(ring: RegretRing(byteLimit: ringBytes, lifetime: Limits.regretSeconds &* 1_000_000_000)))
    }

    /// Whether spans must be looked at before they are taken.
    package var isActive: Bool {
        if isPressed { return true }
        let until = heldUntil.load(ordering: .relaxed)
        return until > 0 && clock() < until
    }

    private var isPressed: Bool { signal.state != .green || !admission.isFull }

    /// The levels that are taken: 0...256.
    package var level: Int { level(in: signal.state) }

    private func level(in load: LoadState) -> Int {
        switch load {
        case .green: admission.level
        case .yellow: min(admission.level, AdmissionLevel.full / 2)
        case .orange, .red: 0
        }
    }

    /// With which the facts of a tenant's spans are made.
    package func seed(tenant: String) -> UInt64 { SpanFacts.seed(seed, tenant: tenant) }

    /// Bytes and spans in the regret ring.
    package var ringBytes: Int { state.withLock { $0.ring.byteCount } }

    /// Decides about a batch and counts what is not taken.
    /// - Parameters:
    ///   - facts: of all its spans, made with the tenant's seed.
    ///   - source: asked when spans are shed, to keep them for a while.
    package func decide(
        _ facts: [SpanFacts], seed: UInt64, from sender: SpanSender, source: () -> ShedSource
    ) -> ShedDecision {
        let now = clock()
        admission.pass(now: now)
        return state.withLock { state in
            if isPressed { noteOverload(&state, now) }
            state.interesting.pass(now: now)
            state.decided.pass(now: now)
            state.traces.gather(facts, seed: seed, &state.profiles)
            let load = sender == .spared || sender == .light ? .green : signal.state
            let level = sender == .light ? AdmissionLevel.full : level(in: load)
            let shouldRetry = sender != .datagram && (mixedBatch == .retry || load == .red)
            let rescued = rescue(&state, now)
            let share =
                shouldRetry
                ? admit(facts.count, state, load, level, now) : choose(&state, load, level, seed, now, source)
            return ShedDecision(share: share, rescues: rescued)
        }
    }

    /// Takes note of how long spans take, of a batch that is taken anyhow.
    package func learn(_ batch: SpanBatch) {
        let seed = seed(tenant: batch.origin.tenant)
        let facts = batch.facts(seed: seed, limit: Limits.learnedSpans)
        state.withLock { state in
            for span in facts where span.isEntry { _ = state.profiles.judge(span.duration, of: span.service) }
        }
    }

    /// Gives up what has been in the ring long enough, and lets the admission level rise while nothing comes. Call about
    /// once a second.
    package func expire() {
        let now = clock()
        admission.pass(now: now)
        let lost = state.withLock { $0.ring.expire(now: now) }
        giveUp(lost)
    }

    /// Gives up everything in the ring.
    package func empty() { giveUp(state.withLock { $0.ring.removeAll() }) }

    /// Counts rescued spans that are stored, or not.
    package func settle(_ spans: Int, isStored: Bool) {
        if isStored {
            ledger.spansRescued.add(UInt64(spans), ordering: .relaxed)
        } else {
            ledger.spansRejected.add(UInt64(spans), .shed)
        }
        ledger.spansInFlight.subtract(Int64(spans), ordering: .relaxed)
    }

    private func giveUp(_ spans: Int) {
        guard spans > 0 else { return }
        settle(spans, isStored: false)
    }
}

// MARK: Decisions

extension LoadShedder {
    /// Takes note that there is overload.
    private func noteOverload(_ state: inout State, _ now: UInt64) {
        if now >= heldUntil.load(ordering: .relaxed) { state.began = now }
        heldUntil.store(now &+ Limits.decisionSeconds &* 1_000_000_000, ordering: .relaxed)
    }

    /// Marks the traces that have become interesting, and takes what was shed of them out of the ring.
    private func rescue(_ state: inout State, _ now: UInt64) -> [Rescue] {
        var found: [UInt64] = []
        for part in state.traces.parts where part.spanClass == .important {
            if state.interesting.find(part.key) == nil { found.append(part.key) }
            state.interesting.set(part.key, .interesting, now: now)
        }
        return found.isEmpty ? [] : state.ring.take(found)
    }

    /// The batch as a whole.
    private func admit(
        _ spanCount: Int, _ state: State, _ load: LoadState, _ level: Int, _ now: UInt64
    ) -> ShedDecision.Share {
        guard let first = state.traces.parts.first else { return .all }
        var least = SpanClass.important
        for part in state.traces.parts where state.interesting.find(part.key) == nil {
            if part.spanClass == .fast { least = .fast } else if least == .important { least = .ordinary }
        }
        let attempt = SpanFacts.traceKey(high: first.key, low: now, seed: seed)
        if load != .red, isTaken(least, key: attempt, level) { return .all }
        ledger.spansReceived.add(UInt64(spanCount), ordering: .relaxed)
        ledger.spansRejected.add(UInt64(spanCount), .busy)
        return .none
    }

    /// Trace by trace.
    private func choose(
        _ state: inout State, _ load: LoadState, _ level: Int, _ seed: UInt64, _ now: UInt64,
        _ source: () -> ShedSource
    ) -> ShedDecision.Share {
        var gone: [(key: UInt64, count: UInt32)] = []
        let isOnset = load != .red && now &- state.began < onset
        for index in state.traces.parts.indices {
            let part = state.traces.parts[index]
            if state.interesting.find(part.key) != nil { continue }
            let known = state.decided.find(part.key)
            let isKept = known.map { $0 == .kept } ?? (isOnset || isTaken(part.spanClass, key: part.key, level))
            state.decided.set(part.key, isKept ? .kept : .shed, now: now)
            guard !isKept else { continue }
            state.traces.parts[index].isKept = false
            ledger.spansShed.add(UInt64(part.spanCount), part.spanClass)
            gone.append((part.key, part.spanCount))
        }
        guard !gone.isEmpty else { return .all }
        let kept = state.traces.kept
        hold(&state, source(), kept.inverted, seed, gone, now)
        return .some(kept)
    }

    /// Counts shed spans as in flight while the ring has them.
    private func hold(
        _ state: inout State, _ source: ShedSource, _ shed: SpanSelection, _ seed: UInt64,
        _ traces: [(key: UInt64, count: UInt32)], _ now: UInt64
    ) {
        let count = shed.selectedCount
        ledger.spansReceived.add(UInt64(count), ordering: .relaxed)
        ledger.spansInFlight.add(Int64(count), ordering: .relaxed)
        giveUp(state.ring.add(source, shed, seed: seed, traces: traces, now: now))
    }

    private func isTaken(_ spanClass: SpanClass, key: UInt64, _ level: Int) -> Bool {
        let own = Int(key >> 57)
        switch spanClass {
        case .important: return true
        case .ordinary: return own < level
        case .fast: return AdmissionLevel.full / 2 + own < level
        }
    }
}

extension TraceParts {
    fileprivate var kept: SpanSelection {
        var kept = SpanSelection(count: owners.count)
        for (index, owner) in owners.enumerated() where parts[Int(owner)].isKept { kept.insert(index) }
        return kept
    }
}
