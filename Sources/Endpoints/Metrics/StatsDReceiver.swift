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

    package init(
        engine: MetricsEngine, ledger: Ledger, counters: LineCounters = LineCounters(),
        signPolicy: GaugeSignPolicyOption = .auto
    ) {
        core = .allocate(capacity: 1)
        core.initialize(
            to: ReceiverCore(engine: engine, ledger: ledger, counters: counters, signPolicy: signPolicy.policy))
    }

    deinit {
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

    /// Whether received lines wait for a later ``tick(nowNanoseconds:)``.
    package var isPending: Bool { core.pointee.isPending }

    /// Takes one body and hands its samples to the engine at once.
    /// - Returns: what became of its lines.
    func receive(body: UnsafeRawBufferPointer, nowNanoseconds: UInt64) -> LineReport {
        core.pointee.flushCounters()
        core.pointee.receive(body)
        let report = core.pointee.report
        core.pointee.close(nowNanoseconds: nowNanoseconds)
        return report
    }
}

/// How gauge values with an explicit sign are read; see schemas/wire/statsd.md, "Signed gauges".
package enum GaugeSignPolicyOption: String, Sendable {
    /// A level when the line shows marks of DogStatsD or Micrometer, else a change.
    case auto
    case level
    case change

    fileprivate var policy: GaugeSignPolicy {
        switch self {
        case .auto: .auto
        case .level: .level
        case .change: .change
        }
    }
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
    private let shard: MetricsShard
    private var reader: StatsDReader
    private var trace = StatsDTraceTag()
    private var seen: UInt64 = 0
    private var applied: UInt64 = 0
    private var events: UInt64 = 0
    private var serviceChecks: UInt64 = 0
    /// By position in `LineRejection.allCases`.
    private var rejected: [UInt64]
    private var flushed = FlushedCounts()
    private(set) var isPending = false

    /// A line that binds more kinds than there are goes round the key cache.
    private static let bindAttempts = 12

    init(engine: MetricsEngine, ledger: Ledger, counters: LineCounters, signPolicy: GaugeSignPolicy) {
        self.engine = engine
        self.ledger = ledger
        self.counters = counters
        shard = engine.makeShard()
        reader = StatsDReader(signPolicy: signPolicy)
        rejected = Array(repeating: 0, count: LineRejection.allCases.count)
    }

    mutating func receive(_ datagram: UnsafeRawBufferPointer) {
        isPending = true
        reader.begin(datagram)
        while true {
            switch reader.next() {
            case .end: return
            case .line:
                seen &+= 1
                if shard.record(name: reader.name, tags: reader.tags, samples: reader.samples) == nil {
                    applied &+= 1
                } else {
                    recordUnknown()
                }
            case .event:
                seen &+= 1
                applied &+= 1
                events &+= 1
            case .serviceCheck:
                seen &+= 1
                applied &+= 1
                serviceChecks &+= 1
            case .rejected(let reason):
                seen &+= 1
                reject(reason)
            }
        }
    }

    /// A line whose bytes the shard does not know: it may carry a trace id, which is no part of its key.
    @inline(never)
    private mutating func recordUnknown() {
        guard trace.take(name: reader.name, tags: reader.tags) else {
            return recordNewKey(name: reader.name, tags: reader.tags)
        }
        let taken = trace
        taken.name.withUnsafeBytes { name in
            taken.tags.withUnsafeBytes { bytes in
                let tags = UnsafeRawBufferPointer(rebasing: bytes[...])
                if shard.record(name: name, tags: tags, samples: reader.samples) == nil {
                    applied &+= 1
                } else {
                    recordNewKey(name: name, tags: tags)
                }
                if let traceID = taken.traceID {
                    shard.attach(trace: traceID, name: name, tags: tags, samples: reader.samples)
                }
            }
        }
    }

    /// Applies a line whose key bytes the shard does not know yet under every kind the line has.
    private mutating func recordNewKey(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer) {
        do {
            let identity = try StatsDIdentity(name: name, tags: tags)
            for _ in 0..<Self.bindAttempts {
                guard let kind = shard.record(name: name, tags: tags, samples: reader.samples) else {
                    applied &+= 1
                    return
                }
                let series = engine.register(name: identity.name, labels: identity.labels, kind: kind)
                shard.bind(name: name, tags: tags, kind: kind, to: series)
            }
            for sample in reader.samples {
                let series = engine.register(name: identity.name, labels: identity.labels, kind: sample.kind)
                shard.record(sample, to: series)
            }
            applied &+= 1
        } catch { reject(error) }
    }

    private mutating func reject(_ reason: LineRejection) {
        if let index = LineRejection.allCases.firstIndex(of: reason) { rejected[index] &+= 1 }
    }

    mutating func tick(nowNanoseconds: UInt64) {
        flushCounters()
        shard.tick(nowNanoseconds: Int64(clamping: nowNanoseconds))
        isPending = shard.isOpen
    }

    mutating func close(nowNanoseconds: UInt64) {
        flushCounters()
        shard.flush(nowNanoseconds: Int64(clamping: nowNanoseconds))
        isPending = shard.isOpen
    }

    /// Lines since the counters were last written.
    var report: LineReport {
        var report = LineReport(accepted: applied)
        for (reason, count) in zip(LineRejection.allCases, rejected) where count > 0 {
            report.rejected[reason] = count
        }
        return report
    }

    /// Writes what was counted since the last time. `seen` goes first, so that it never trails its parts.
    mutating func flushCounters() {
        if seen > 0 {
            ledger.linesSeen.add(seen, ordering: .relaxed)
            ledger.linesApplied.add(applied, ordering: .releasing)
            for (index, reason) in LineRejection.allCases.enumerated() where rejected[index] > 0 {
                ledger.linesRejected.add(rejected[index], reason)
                rejected[index] = 0
            }
            counters.events.add(events, ordering: .relaxed)
            counters.serviceChecks.add(serviceChecks, ordering: .relaxed)
            (seen, applied, events, serviceChecks) = (0, 0, 0, 0)
        }
        let now = FlushedCounts(
            ignoredFields: reader.ignoredFields, unknownFields: reader.unknownFields,
            ignoredRates: reader.ignoredRates, changes: reader.signedGaugeChanges, levels: reader.signedGaugeLevels,
            resets: shard.keyCacheResets, deferred: shard.deferredWindows)
        guard now != flushed else { return }
        counters.ignoredFields.add(now.ignoredFields &- flushed.ignoredFields, ordering: .relaxed)
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
    var ignoredFields: UInt64 = 0
    var unknownFields: UInt64 = 0
    var ignoredRates: UInt64 = 0
    var changes: UInt64 = 0
    var levels: UInt64 = 0
    var resets: UInt64 = 0
    var deferred: UInt64 = 0
}
