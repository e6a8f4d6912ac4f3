internal import Foundation
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Stops the machine at every disk call of a workload, starts again, and asks for every acknowledged span.
struct StoreCrashTests {
    static let isFull = ProcessInfo.processInfo.environment["CREST_FULL"] == "1"

    /// Commits, witnesses, seals, expires, closes and opens again.
    private func work(_ fixture: StoreFixture, seed: UInt64) throws {
        var spans = SpanGenerator(seed: seed)
        for round in 0..<2 {
            guard let store = try? fixture.open() else { return }
            for step in 0..<6 {
                let tenant = spans.random.oneIn(4) ? "other" : BatchOrigin.defaultTenant
                fixture.commit(
                    (0...spans.random.below(3)).map { _ in
                        spans.batch(1 + spans.random.below(30), tenant: tenant, arrival: fixture.clock.now)
                    })
                if step % 2 == 1 { store.witnessStep() }
                if step % 3 == 2 { store.sealStep() }
                fixture.clock.advance(seconds: 2)
                store.idleStep()
            }
            store.sealNow()
            if round == 0 { _ = store.close(sealing: seed % 2 == 0) }
        }
    }

    private func check(_ fixture: StoreFixture, _ context: String) {
        do {
            let store = try fixture.open()
            #expect(store.ledgerTerms.balanced, "\(context): \(store.ledgerTerms)")
            #expect(store.ledgerTerms.lost == 0, "\(context): \(store.recovery)")
            #expect(store.state == .ok, "\(context): \(store.recovery)")
            let missing = try fixture.missing()
            #expect(missing.isEmpty, "\(context): \(missing.count) acknowledged spans missing, \(store.recovery)")
            let found = try fixture.acknowledgedTenants().reduce(0) {
                $0 + (try StoreFixture.spans(of: store, tenant: $1).count)
            }
            #expect(UInt64(found) == store.ledgerTerms.live, "\(context): live is what queries find")
        } catch {
            Issue.record("\(context): \(error)")
        }
    }

    @Test func everyCallOfAWorkload() throws {
        for seed in 1...(Self.isFull ? 8 : 2) as ClosedRange<UInt64> {
            let whole = StoreFixture()
            try work(whole, seed: seed)
            let calls = whole.disk.callCount
            #expect(try whole.missing().isEmpty)
            let stride = Self.isFull ? 1 : max(calls / 60, 1)
            for call in Swift.stride(from: 1, through: calls + 1, by: stride) {
                var kinds: [SimulatedDisk.Crash] = [.kill, .powerLoss]
                for torn in 0..<(Self.isFull ? 4 : 1) {
                    kinds.append(.tornPowerLoss(seed: seed * 1_000_003 + UInt64(call * 10 + torn)))
                }
                let fixture = StoreFixture()
                fixture.disk.change { $0.crashAt = call }
                try work(fixture, seed: seed)
                let stopped = fixture.disk
                for kind in kinds {
                    fixture.disk = stopped.crash(kind)
                    check(fixture, "seed \(seed), stopped at call \(call) of \(calls), \(kind)")
                }
            }
        }
    }

    @Test func crashesDuringRecovery() throws {
        let before = StoreFixture()
        before.disk.change { $0.crashAt = 60 }
        try work(before, seed: 5)
        let stopped = before.disk.crash(.tornPowerLoss(seed: 9))
        for call in 1...40 {
            let fixture = StoreFixture()
            fixture.acknowledged = before.acknowledged
            fixture.disk = stopped.crash(.kill)
            fixture.disk.change { $0.crashAt = call }
            let opened = try? fixture.open()
            if opened != nil { break }
            for kind in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] as [SimulatedDisk.Crash] {
                let disk = fixture.disk
                fixture.disk = disk.crash(kind)
                check(fixture, "stopped at call \(call) of recovery, \(kind)")
                fixture.disk = disk
            }
        }
    }

    @Test func everyCallFailsOnce() throws {
        let whole = StoreFixture()
        try work(whole, seed: 3)
        let calls = whole.disk.callCount
        for code in [5, 28] as [Int32] {
            for call in stride(from: 1, through: calls, by: Self.isFull ? 1 : max(calls / 50, 1)) {
                let fixture = StoreFixture()
                fixture.disk.change { $0.failures = [call: code] }
                try work(fixture, seed: 3)
                let context = "errno \(code) at call \(call) of \(calls)"
                #expect(try fixture.missing().isEmpty, "\(context)")
                if let store = fixture.store { #expect(store.ledgerTerms.balanced, "\(context)") }
                fixture.disk = fixture.disk.crash(.powerLoss)
                check(fixture, context + ", then power loss")
            }
        }
    }
}

extension StoreFixture {
    func acknowledgedTenants() -> [String] { [BatchOrigin.defaultTenant, "other"] }
}
