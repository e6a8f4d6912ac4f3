internal import Foundation
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Explores distinct directories that a crash can leave: after every disk call of many small workloads, every subset
/// and tearing of what was not synced that chance finds. Each must hold every acknowledged span, and no ledger may lie.
struct CrashStateTests {
    private static let environment = ProcessInfo.processInfo.environment
    /// Distinct states in all; four workers share them.
    private static let states =
        environment["CREST_CRASH_STATES"].flatMap { Int($0) }
        ?? (environment["CREST_FULL"] == "1" ? 1_000_000 : 200_000)
    private static let workers = 4
    /// Tearings tried after one call, and how many in a row may be known already before the next call's turn.
    private static let tries = 400
    private static let staleTries = 12

    private func fixture(_ seed: UInt64) -> StoreFixture {
        StoreFixture {
            $0.headBytes = 3_000
            $0.compaction.fanIn = 2
            $0.compaction.deletionDelay = 0
            $0.durability = seed % 5 == 4 ? .interval : .synced
        }
    }

    /// Commits, witnesses, seals, deletes, merges and closes; all of it small.
    private func work(_ fixture: StoreFixture, seed: UInt64) {
        var spans = SpanGenerator(seed: seed)
        for round in 0..<2 {
            guard let store = try? fixture.open() else { return }
            for _ in 0..<3 {
                let batch = spans.batch(1 + spans.random.below(3), arrival: fixture.clock.now)
                fixture.commit([batch])
                switch spans.random.below(5) {
                case 0: store.witnessStep()
                case 1: store.sealNow()
                case 2:
                    store.sealNow()
                    store.compactStep()
                case 3:
                    let traceID = batch.record(0).traceID
                    // Deleted or not when the call failed: neither is asked for.
                    fixture.forget(traceID)
                    _ = try? store.delete([traceID], tenant: BatchOrigin.defaultTenant)
                default: store.syncStep()
                }
                fixture.clock.advance(seconds: 1)
            }
            if round == 0 { _ = store.close(sealing: seed % 2 == 0) }
        }
    }

    /// Nil when the state holds what was promised. An interval log acknowledges several groups before it is synced;
    /// a later one may survive an earlier one, which then counts as lost and not as damage. What was synced is there.
    private func defect(
        _ disk: SimulatedDisk, _ stopped: StoreFixture, _ durable: [String: [SpanRecord]]
    ) -> String? {
        let fixture = StoreFixture(disk: disk, stopped.change)
        fixture.acknowledged = durable
        do {
            let store = try fixture.open()
            let terms = store.ledgerTerms
            let isRight = terms.balanced && terms.lost == store.recovery.unsyncedSpans && store.state == .ok
            guard isRight else { return "\(store.state), \(terms), \(store.recovery)" }
            guard terms.lost == 0 || fixture.configuration.durability == .interval else { return "\(terms)" }
            let missing = try fixture.missing().count
            return missing == 0 ? nil : "\(missing) acknowledged spans missing"
        } catch { return "\(error)" }
    }

    @Test(arguments: 0..<workers)
    func everyStateHoldsWhatWasAcknowledged(worker: Int) {
        let began = ContinuousClock().now
        var explored = 0
        var calls = 0
        var seed = UInt64(worker + 1)
        while explored < Self.states / Self.workers {
            let whole = fixture(seed)
            work(whole, seed: seed)
            for call in 1...whole.disk.callCount + 1 where explored < Self.states / Self.workers {
                calls += 1
                explored += explore(seed, call)
            }
            seed += UInt64(Self.workers)
        }
        let seconds = (ContinuousClock().now - began) / .seconds(1)
        print(
            "worker \(worker): \(explored) distinct crash states after \(calls) stops, "
                + "\(Int(Double(explored) / seconds)) a second")
        #expect(explored >= Self.states / Self.workers)
    }

    /// The distinct states after one call.
    private func explore(_ seed: UInt64, _ call: Int) -> Int {
        let stopped = fixture(seed)
        stopped.disk.change { $0.crashAt = call }
        work(stopped, seed: seed)
        let durable = stopped.durable
        var known: Set<Int> = []
        var stale = 0
        for attempt in 0..<Self.tries where stale < Self.staleTries {
            let kind: SimulatedDisk.Crash =
                switch attempt {
                case 0: .kill
                case 1: .powerLoss
                default: .tornPowerLoss(seed: seed &* 1_000_003 &+ UInt64(call) &* 1_009 &+ UInt64(attempt))
                }
            let disk = stopped.disk.crash(kind)
            guard known.insert(disk.fingerprint).inserted else {
                stale += 1
                continue
            }
            stale = 0
            if let defect = defect(disk, stopped, durable) {
                Issue.record("seed \(seed), stopped at call \(call), \(kind): \(defect)")
            }
        }
        return known.count
    }
}
