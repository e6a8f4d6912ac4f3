package import MetricsEngine
internal import Synchronization
package import Telemetry
internal import WireFormats

/// Takes StatsD datagrams from one receive thread: decodes, applies to the thread's own shard, counts.
///
/// One thread owns a receiver and makes all calls; it may be created elsewhere. Nothing is locked unless a series is
/// seen for the first time, and the shared counters are written once a tick, not once a line.
package final class StatsDReceiver: @unchecked Sendable {
    private let core: UnsafeMutablePointer<ReceiverCore>

    package convenience init(
        engine: MetricsEngine, ledger: Ledger, counters: LineCounters = LineCounters(),
        dialects: StatsDDialects = StatsDDialects(StatsDDialect()), examples: RejectExamples = RejectExamples()
    ) {
        self.init(
            engine: engine, ledger: ledger, counters: counters, dialects: dialects, examples: examples, outcomes: [])
    }

    /// - Parameter outcomes: where lines are counted besides the ledger.
    init(
        engine: MetricsEngine, ledger: Ledger, counters: LineCounters, dialects: StatsDDialects,
        examples: RejectExamples, outcomes: [LineOutcomes]
    ) {
        core = .allocate(capacity: 1)
        core.initialize(
            to: ReceiverCore(
                engine: engine, ledger: ledger, counters: counters, dialects: dialects, examples: examples,
                outcomes: outcomes))
    }

    deinit {
        // What a receiver took is handed over, however it ends.
        core.pointee.finish()
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// Applies every good line of a datagram, or of a whole body; each bad one is counted with its reason.
    package func receive(datagram: UnsafeRawBufferPointer) {
        core.pointee.receive(datagram)
    }

    /// Closes the second when it is over and writes the counters. Call about four times a second.
    /// - Parameter nowNanoseconds: Unix time.
    package func tick(nowNanoseconds: UInt64) {
        core.pointee.tick(nowNanoseconds: nowNanoseconds)
    }

    /// Whether received lines, or the engine, wait for a later ``tick(nowNanoseconds:)``.
    package var isPending: Bool { core.pointee.isPending }

    /// Takes one body.
    /// - Parameter closes: hands its samples to the engine at once; otherwise a later ``tick(nowNanoseconds:)`` does.
    /// - Returns: what became of its lines.
    func receive(body: UnsafeRawBufferPointer, nowNanoseconds: UInt64, closes: Bool) -> LineReport {
        core.pointee.flushCounters()
        core.pointee.receive(body)
        let report = core.pointee.makeReport()
        if closes { core.pointee.close(nowNanoseconds: nowNanoseconds) } else { core.pointee.flushCounters() }
        return report
    }

    /// Hands over what is open, whatever the time.
    func finish() { core.pointee.finish() }
}

/// What became of the lines of one body.
package struct LineReport: Hashable, Sendable {
    package var accepted: UInt64 = 0
    /// Only reasons that occurred.
    package var rejected: [LineRejection: UInt64] = [:]
}

/// The state of a ``StatsDReceiver``, in plain memory so that no access needs an exclusivity check.
private struct ReceiverCore: ~Copyable {
    private let engine: MetricsEngine
    private let ledger: Ledger
    private let counters: LineCounters
    private let dialects: StatsDDialects
    private var generation: UInt64
    private var translator: LineTranslator
    private let examples: RejectExamples
    private let outcomes: [LineOutcomes]
    private let shard: MetricsShard
    private var reader: StatsDReader
    private var trace = StatsDTraceTag()
    private var seen: UInt64 = 0
    private var applied: UInt64 = 0
    private var events: UInt64 = 0
    private var serviceChecks: UInt64 = 0
    /// By position in `LineRejection.allCases`.
    private var rejected: [UInt64]
    /// Reasons that gave an example since the counters were last written, so that a flood of bad lines takes no lock.
    private var hasExample: [Bool]
    /// Lines that a rule drops, as the shard counted them when the counters were last written.
    private var droppedBefore: UInt64 = 0
    private var flushed = FlushedCounts()
    private var holdsLines = false
    private var lastTick: Int64 = 0

    /// Lines that are not handed over, or expired keys that the engine wants dropped.
    var isPending: Bool { holdsLines || shard.isTickWanted }

    /// A line that binds more kinds than there are goes round the key cache.
    private static let bindAttempts = 12

    init(
        engine: MetricsEngine, ledger: Ledger, counters: LineCounters, dialects: StatsDDialects,
        examples: RejectExamples, outcomes: [LineOutcomes]
    ) {
        self.outcomes = outcomes
        self.engine = engine
        self.ledger = ledger
        self.counters = counters
        shard = engine.makeShard()
        self.dialects = dialects
        let (dialect, generation) = dialects.current
        self.generation = generation
        reader = StatsDReader(signPolicy: dialect.signPolicy)
        translator = dialect.translator
        self.examples = examples
        rejected = Array(repeating: 0, count: LineRejection.allCases.count)
        hasExample = Array(repeating: false, count: LineRejection.allCases.count)
    }

    mutating func receive(_ datagram: UnsafeRawBufferPointer) {
        holdsLines = true
        if dialects.generation != generation { adoptDialect() }
        reader.begin(datagram)
        while true {
            switch reader.next() {
            case .end: return
            case .line:
                seen &+= 1
                if shard.record(name: reader.name, tags: reader.tags, samples: reader.samples) == nil {
                    applied &+= 1
                } else {
                    recordUnknown(isServiceCheck: false)
                }
            case .event:
                seen &+= 1
                applied &+= 1
                events &+= 1
            case .serviceCheck:
                seen &+= 1
                serviceChecks &+= 1
                if shard.record(name: reader.name, tags: reader.tags, samples: reader.samples) == nil {
                    applied &+= 1
                } else {
                    recordUnknown(isServiceCheck: true)
                }
            case .rejected(let reason):
                seen &+= 1
                reject(reason)
            }
        }
    }

    /// The rules have changed: what keys mean is asked anew.
    @inline(never)
    private mutating func adoptDialect() {
        // The counts of the reader begin anew with it.
        flushCounters()
        let (dialect, generation) = dialects.current
        self.generation = generation
        reader = StatsDReader(signPolicy: dialect.signPolicy)
        flushed = FlushedCounts(resets: flushed.resets, deferred: flushed.deferred)
        translator = dialect.translator
        shard.forgetKeys()
    }

    /// A line whose bytes the shard does not know: it may carry a trace id, which is no part of its key.
    @inline(never)
    private mutating func recordUnknown(isServiceCheck: Bool) {
        guard trace.take(name: reader.name, tags: reader.tags) else {
            return recordNewKey(name: reader.name, tags: reader.tags, isServiceCheck: isServiceCheck)
        }
        let taken = trace
        taken.name.withUnsafeBytes { name in
            taken.tags.withUnsafeBytes { tags in
                if shard.record(name: name, tags: tags, samples: reader.samples) == nil {
                    applied &+= 1
                } else {
                    recordNewKey(name: name, tags: tags, isServiceCheck: isServiceCheck)
                }
                if let traceID = taken.traceID {
                    shard.attach(trace: traceID, name: name, tags: tags, samples: reader.samples)
                }
            }
        }
    }

    /// Applies a line whose key bytes the shard does not know yet under every kind the line has.
    private mutating func recordNewKey(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, isServiceCheck: Bool
    ) {
        do throws(LineRejection) {
            let identity =
                try isServiceCheck
                ? StatsDIdentity(serviceCheck: name, tags: tags)
                : StatsDIdentity(name: name, tags: tags)
            for _ in 0..<Self.bindAttempts {
                guard let kind = shard.record(name: name, tags: tags, samples: reader.samples) else {
                    applied &+= 1
                    return
                }
                switch translator.translate(identity, kind: kind) {
                case .series(let named):
                    shard.bind(name: name, tags: tags, kind: kind, to: engine.register(named))
                case .dropped: shard.bindDropped(name: name, tags: tags, kind: kind)
                case .rejected(let reason): throw reason
                }
            }
            for sample in reader.samples {
                guard case .series(let named) = translator.translate(identity, kind: sample.kind) else { continue }
                shard.record(sample, to: engine.register(named))
            }
            applied &+= 1
        } catch { reject(error) }
    }

    private mutating func reject(_ reason: LineRejection) {
        guard let index = LineRejection.allCases.firstIndex(of: reason) else { return }
        rejected[index] &+= 1
        guard !hasExample[index] else { return }
        hasExample[index] = true
        examples.note(reader.line, reason)
    }

    /// Moves the lines that a rule drops from the applied ones, among which the shard's callers count them.
    private mutating func settleDropped() {
        let dropped = shard.droppedLines &- droppedBefore
        guard dropped > 0, let index = LineRejection.allCases.firstIndex(of: .droppedByRule) else { return }
        droppedBefore = shard.droppedLines
        applied &-= dropped
        rejected[index] &+= dropped
    }

    mutating func tick(nowNanoseconds: UInt64) {
        flushCounters()
        lastTick = Int64(clamping: nowNanoseconds)
        shard.tick(nowNanoseconds: lastTick)
        holdsLines = shard.isOpen
    }

    mutating func close(nowNanoseconds: UInt64) {
        flushCounters()
        shard.flush(nowNanoseconds: Int64(clamping: nowNanoseconds))
        holdsLines = shard.isOpen
    }

    mutating func finish() {
        flushCounters()
        shard.flush(nowNanoseconds: lastTick)
        holdsLines = shard.isOpen
    }

    /// Lines since the counters were last written.
    mutating func makeReport() -> LineReport {
        settleDropped()
        var report = LineReport(accepted: applied)
        for (reason, count) in zip(LineRejection.allCases, rejected) where count > 0 {
            report.rejected[reason] = count
        }
        return report
    }

    /// Writes what was counted since the last time. `seen` goes first, so that it never trails its parts.
    mutating func flushCounters() {
        if seen > 0 {
            settleDropped()
            ledger.linesSeen.add(seen, ordering: .relaxed)
            ledger.linesApplied.add(applied, ordering: .releasing)
            for outcome in outcomes { outcome.add(seen: seen, applied: applied) }
            for (index, reason) in LineRejection.allCases.enumerated() where rejected[index] > 0 {
                ledger.linesRejected.add(rejected[index], reason)
                for outcome in outcomes { outcome.add(rejected: rejected[index], reason) }
                rejected[index] = 0
                hasExample[index] = false
            }
            counters.events.add(events, ordering: .relaxed)
            counters.serviceChecks.add(serviceChecks, ordering: .relaxed)
            (seen, applied, events, serviceChecks) = (0, 0, 0, 0)
        }
        let now = FlushedCounts(
            containerFields: reader.containerFields, externalDataFields: reader.externalDataFields,
            cardinalityFields: reader.cardinalityFields, explicitTimestamps: reader.explicitTimestamps,
            unknownFields: reader.unknownFields, ignoredRates: reader.ignoredRates, changes: reader.signedGaugeChanges,
            levels: reader.signedGaugeLevels,
            resets: shard.keyCacheResets, deferred: shard.deferredWindows)
        guard now != flushed else { return }
        counters.containerFields.add(now.containerFields &- flushed.containerFields, ordering: .relaxed)
        counters.externalDataFields.add(now.externalDataFields &- flushed.externalDataFields, ordering: .relaxed)
        counters.cardinalityFields.add(now.cardinalityFields &- flushed.cardinalityFields, ordering: .relaxed)
        counters.explicitTimestamps.add(now.explicitTimestamps &- flushed.explicitTimestamps, ordering: .relaxed)
        counters.unknownFields.add(now.unknownFields &- flushed.unknownFields, ordering: .relaxed)
        counters.ignoredRates.add(now.ignoredRates &- flushed.ignoredRates, ordering: .relaxed)
        counters.signedGaugeChanges.add(now.changes &- flushed.changes, ordering: .relaxed)
        counters.signedGaugeLevels.add(now.levels &- flushed.levels, ordering: .relaxed)
        counters.keyCacheResets.add(now.resets &- flushed.resets, ordering: .relaxed)
        counters.deferredWindows.add(now.deferred &- flushed.deferred, ordering: .relaxed)
        flushed = now
    }
}

/// The running counts of a receiver as they were when they were last written out.
private struct FlushedCounts: Equatable {
    var containerFields: UInt64 = 0
    var externalDataFields: UInt64 = 0
    var cardinalityFields: UInt64 = 0
    var explicitTimestamps: UInt64 = 0
    var unknownFields: UInt64 = 0
    var ignoredRates: UInt64 = 0
    var changes: UInt64 = 0
    var levels: UInt64 = 0
    var resets: UInt64 = 0
    var deferred: UInt64 = 0
}
