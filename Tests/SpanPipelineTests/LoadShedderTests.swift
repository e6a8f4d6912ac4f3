import SpanPipeline
import Telemetry
import TestKit
import Testing

@Suite("Load shedding")
struct LoadShedderTests {
    /// Traces of a root and three children.
    private func traces(_ numbers: ClosedRange<UInt64>) -> [SpanRecord] {
        numbers.flatMap { trace in (1...4).map { offered(trace, $0, root: $0 == 1) } }
    }

    private func wholeness(_ fixture: ShedderFixture) -> (whole: Int, torn: Int) {
        let counts = Dictionary(grouping: fixture.kept, by: \.traceID).mapValues(\.count)
        let torn = counts.values.count { $0 != 4 }
        return (counts.count - torn, torn)
    }

    @Test("Idle, nothing is active; any state but green and any cut level is")
    func activity() {
        let fixture = ShedderFixture()
        #expect(!fixture.shedder.isActive && fixture.shedder.level == 256)
        for (state, level) in [(LoadState.yellow, 128), (.orange, 0), (.red, 0), (.green, 256)] {
            fixture.signal.set(state)
            #expect(fixture.shedder.isActive == (state != .green) && fixture.shedder.level == level)
            #expect(fixture.signal.state == state)
        }
        fixture.overload(windows: 1)
        #expect(fixture.shedder.isActive && fixture.shedder.level == 243)
    }

    @Test("Traces are kept whole or shed whole, in the share of the level", arguments: 1...10 as ClosedRange<UInt64>)
    func coherent(seed: UInt64) {
        let fixture = ShedderFixture(seed: seed)
        // Down to about half of the levels of P2.
        fixture.overload(windows: 27)
        var random = SeededRandom(seed: seed)
        let all = traces(1...1_000).shuffled(using: &random)
        for start in stride(from: 0, to: all.count, by: 50) { fixture.offer(Array(all[start..<start + 50])) }
        let (whole, torn) = wholeness(fixture)
        let share = Double(fixture.shedder.level) / 128
        #expect(torn == 0 && abs(Double(whole) / 1_000 - share) < 0.06, "seed \(seed): \(whole) of \(share)")
        #expect(fixture.shed == UInt64(4_000 - 4 * whole) && fixture.isBalanced)
    }

    @Test("A decision holds while the level moves, and is made anew when it is forgotten")
    func lasting() {
        let fixture = ShedderFixture()
        fixture.signal.set(.orange)
        fixture.offer([offered(1, 1)])
        fixture.signal.set(.yellow)
        fixture.offer([offered(1, 2), offered(2, 1)])
        fixture.signal.set(.orange)
        fixture.offer([offered(2, 2), offered(3, 1)])
        #expect(fixture.kept == [offered(2, 1), offered(2, 2)])
        fixture.pass(21 * ShedderFixture.second)
        fixture.signal.set(.yellow)
        fixture.offer([offered(1, 3)])
        #expect(fixture.kept.contains(offered(1, 3)))
    }

    @Test("Traces under way when an overload begins or ends stay whole, or shed whole")
    func edges() {
        let fixture = ShedderFixture(onset: ShedderFixture.second)
        // Trace 1 came in part before; trace 2 comes in the first second, trace 3 after it.
        fixture.signal.set(.orange)
        fixture.offer([offered(1, 2), offered(2, 1)])
        fixture.pass(ShedderFixture.second)
        fixture.offer([offered(1, 3), offered(2, 2), offered(3, 1)])
        #expect(fixture.kept == [offered(1, 2), offered(2, 1), offered(1, 3), offered(2, 2)])
        fixture.signal.set(.green)
        #expect(fixture.shedder.isActive)
        fixture.offer([offered(3, 2), offered(4, 1)])
        #expect(!fixture.kept.contains(offered(3, 2)) && fixture.kept.contains(offered(4, 1)))
        // A short calm is no new beginning.
        fixture.pass(5 * ShedderFixture.second)
        fixture.signal.set(.orange)
        fixture.offer([offered(4, 2), offered(5, 1)])
        #expect(fixture.kept.contains(offered(4, 2)) && !fixture.kept.contains(offered(5, 1)))
        fixture.signal.set(.green)
        fixture.pass(11 * ShedderFixture.second)
        #expect(!fixture.shedder.isActive && fixture.isBalanced)
    }

    @Test("What is kept at a level is kept at every higher one", arguments: 1...10 as ClosedRange<UInt64>)
    func monotonic(seed: UInt64) {
        var before: Set<SpanRecord>?
        for windows in stride(from: 0, through: 60, by: 6) {
            let fixture = ShedderFixture(seed: seed)
            fixture.overload(windows: windows)
            var random = SeededRandom(seed: seed)
            for _ in 0..<20 {
                let batch = (0..<50).map { number in
                    offered(
                        UInt64(random.below(400)), UInt64(number), root: random.oneIn(3),
                        milliseconds: UInt64(1 + random.below(random.oneIn(50) ? 5_000 : 100)))
                }
                fixture.offer(batch)
            }
            if let before { #expect(fixture.kept.isSubset(of: before), "seed \(seed), \(windows) windows") }
            before = fixture.kept
        }
    }

    @Test("Errors are never shed below red, and never of a datagram")
    func errors() {
        for state in [LoadState.yellow, .orange] {
            let fixture = ShedderFixture()
            fixture.signal.set(state)
            fixture.overload(windows: 200)
            fixture.offer([offered(1, 1, error: true), offered(1, 2, root: false), offered(2, 1)])
            #expect(fixture.kept == [offered(1, 1, error: true), offered(1, 2, root: false)])
            fixture.offer([offered(1, 3), offered(2, 2)], from: .datagram)
            #expect(fixture.kept.contains(offered(1, 3)) && !fixture.kept.contains(offered(2, 2)))
        }
        let fixture = ShedderFixture()
        fixture.signal.set(.red)
        fixture.offer([offered(1, 1, error: true)])
        #expect(fixture.kept.isEmpty && fixture.refusedBatches == 1 && fixture.shed == 0)
        fixture.offer([offered(1, 1, error: true), offered(2, 1)], from: .datagram)
        #expect(fixture.kept == [offered(1, 1, error: true)])
    }

    @Test("Traces slower than 99 of 100 at a service's door are important, fast ones go first")
    func latencies() {
        let fixture = ShedderFixture()
        var random = SeededRandom(seed: 3)
        let known = (0..<2_000).map { offered(10_000 + $0, 1, milliseconds: UInt64(100 + random.below(100))) }
        fixture.shedder.learn(SpanBatch(origin: BatchOrigin(arrival: 1), records: Array(known.prefix(1_024))))
        fixture.signal.set(.orange)
        fixture.offer([
            offered(1, 1, milliseconds: 1_000), offered(1, 2, root: false), offered(2, 1, milliseconds: 150),
            offered(3, 1, root: false, milliseconds: 1_000), offered(4, 1, milliseconds: 1_000, service: "other"),
        ])
        #expect(fixture.kept == [offered(1, 1, milliseconds: 1_000), offered(1, 2, root: false)])
        fixture.signal.set(.yellow)
        fixture.offer([offered(5, 1, milliseconds: 20), offered(6, 1, milliseconds: 150)])
        #expect(!fixture.kept.contains(offered(5, 1, milliseconds: 20)))
        #expect(fixture.kept.contains(offered(6, 1, milliseconds: 150)))
        let byClass = fixture.ledger.spansShed.counts.map(\.count)
        #expect(byClass == [0, 3, 1], "\(byClass)")
        // Few of a steady stream are slow.
        fixture.signal.set(.orange)
        let before = fixture.kept.count
        for span in known { fixture.offer([span]) }
        #expect(fixture.kept.count - before <= 20)
    }

    @Test("With retry a client's batch is taken or refused as a whole, and nothing of it is shed")
    func retry() {
        let fixture = ShedderFixture(mixedBatch: .retry)
        fixture.signal.set(.orange)
        fixture.offer([offered(1, 1, error: true), offered(2, 1)])
        #expect(fixture.kept.isEmpty && fixture.refusedBatches == 1)
        fixture.offer([offered(1, 1, error: true), offered(1, 2)])
        #expect(fixture.kept.count == 2)
        fixture.offer([offered(3, 1, error: true), offered(4, 1)], from: .datagram)
        #expect(fixture.kept.count == 3 && fixture.shed == 1)
        fixture.signal.set(.green)
        // Half of the levels of P2: about half of the batches.
        fixture.overload(windows: 27)
        for trace in 100..<1_100 as Range<UInt64> { fixture.offer([offered(trace, 1), offered(trace, 2)]) }
        #expect((300...700).contains(fixture.refusedBatches), "\(fixture.refusedBatches)")
        #expect(fixture.shed == 1 && fixture.isBalanced)
        // No batch is refused for ever.
        let before = fixture.kept.count
        for _ in 0..<64 where fixture.kept.count == before {
            fixture.pass(1)
            fixture.offer([offered(2_000, 1)])
        }
        #expect(fixture.kept.count == before + 1)
    }

    @Test("A tenant within its share of the memory pays for the wait only")
    func spared() {
        for mixedBatch in MixedBatch.allCases {
            let fixture = ShedderFixture(mixedBatch: mixedBatch)
            fixture.signal.set(.red)
            fixture.offer([offered(1, 1)])
            fixture.offer([offered(2, 1)], from: .spared)
            #expect(fixture.kept == [offered(2, 1)])
            fixture.overload(windows: 200)
            fixture.offer([offered(3, 1)], from: .spared)
            #expect(fixture.kept == [offered(2, 1)])
        }
    }

    @Test("A tenant that holds little beside others pays for nothing")
    func light() {
        for mixedBatch in MixedBatch.allCases {
            let fixture = ShedderFixture(mixedBatch: mixedBatch)
            fixture.signal.set(.red)
            fixture.overload(windows: 200)
            fixture.offer([offered(1, 1)], from: .spared)
            fixture.offer([offered(2, 1)], from: .light)
            #expect(fixture.kept == [offered(2, 1)])
        }
    }

    @Test("While nothing comes the level rises by itself")
    func silence() {
        let fixture = ShedderFixture()
        fixture.overload(windows: 200)
        #expect(fixture.shedder.level == 0)
        for _ in 0..<11 { fixture.pass(ShedderFixture.second) }
        #expect(!fixture.shedder.isActive)
    }

    @Test("Tenants share no decision")
    func tenants() {
        let fixture = ShedderFixture()
        #expect(fixture.shedder.seed(tenant: "a") != fixture.shedder.seed(tenant: "b"))
        #expect(fixture.shedder.seed(tenant: "a") == fixture.shedder.seed(tenant: "a"))
    }
}

@Suite("Regret ring")
struct RegretRingTests {
    @Test("An error brings back what was shed of its trace within two seconds, once")
    func rescue() {
        let fixture = ShedderFixture()
        fixture.signal.set(.orange)
        fixture.offer([offered(1, 1), offered(2, 1), offered(1, 2)])
        fixture.offer([offered(1, 3, root: false)], from: .datagram)
        fixture.pass(ShedderFixture.second)
        fixture.offer([offered(1, 4, error: true)])
        #expect(fixture.rescued == [offered(1, 1), offered(1, 2), offered(1, 3, root: false)])
        fixture.offer([offered(1, 5, error: true)])
        #expect(fixture.rescued.count == 3 && fixture.kept.count == 2 && fixture.inFlight == 1)
        fixture.pass(ShedderFixture.second)
        #expect(fixture.inFlight == 0 && fixture.rejected == 1 && fixture.isBalanced)
        #expect(fixture.shedder.ringBytes == 0)
    }

    @Test("What is older than two seconds is gone")
    func tooLate() {
        let fixture = ShedderFixture()
        fixture.signal.set(.orange)
        fixture.offer([offered(1, 1)])
        fixture.pass(2 * ShedderFixture.second)
        fixture.offer([offered(1, 2, error: true)])
        #expect(fixture.rescued.isEmpty && fixture.rejected == 1 && fixture.isBalanced)
    }

    @Test("The ring is bounded in bytes; what does not fit is gone at once")
    func bounded() {
        let fixture = ShedderFixture(ringBytes: 4_000)
        fixture.signal.set(.orange)
        for trace in 1...50 as ClosedRange<UInt64> {
            fixture.offer([offered(trace, 1)])
            #expect(fixture.shedder.ringBytes <= 4_000 && fixture.isBalanced)
        }
        #expect(fixture.inFlight > 0 && fixture.rejected > 30)
        fixture.offer((1...50).map { offered(100, $0) })
        #expect(fixture.isBalanced && fixture.inFlight < 10)
        fixture.shedder.empty()
        #expect(fixture.inFlight == 0 && fixture.isBalanced && fixture.shedder.ringBytes == 0)
    }

    @Test("Against a model: any order of batches, waits and states", arguments: 1...30 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        let fixture = ShedderFixture(seed: seed)
        var random = SeededRandom(seed: seed)
        var model = ShedModel()
        fixture.signal.set(.orange)
        for step in 0..<300 {
            if random.oneIn(4) {
                let wait = UInt64(random.below(500)) * 1_000_000
                fixture.pass(wait)
                model.now += wait
            }
            if random.oneIn(10) { fixture.signal.set(random.pick([.yellow, .orange, .orange])) }
            let spans = (0..<1 + random.below(8)).map { number in
                offered(
                    UInt64(random.below(25) + step / 20 * 10), UInt64(step * 10 + number + 1), root: random.oneIn(2),
                    error: random.oneIn(25))
            }
            model.offer(spans, takesNew: fixture.signal.state == .yellow)
            fixture.offer(spans, from: random.oneIn(3) ? .datagram : .client)
            #expect(fixture.kept == model.kept && fixture.rescued == model.rescued, "seed \(seed), step \(step)")
            #expect(fixture.isBalanced, "seed \(seed), step \(step)")
        }
    }
}

/// What the shedder should do, said plainly, for traces of which none is slow or fast.
private struct ShedModel {
    var now: UInt64 = 0
    var kept: Set<SpanRecord> = []
    var rescued: Set<SpanRecord> = []
    private var important: Set<TraceID> = []
    private var decisions: [TraceID: Bool] = [:]
    private var held: [(span: SpanRecord, until: UInt64)] = []

    mutating func offer(_ spans: [SpanRecord], takesNew: Bool) {
        held.removeAll { $0.until <= now }
        for span in spans where span.isError { important.insert(span.traceID) }
        for entry in held where important.contains(entry.span.traceID) { rescued.insert(entry.span) }
        held.removeAll { important.contains($0.span.traceID) }
        for span in spans {
            if important.contains(span.traceID) {
                kept.insert(span)
                continue
            }
            let isKept = decisions[span.traceID] ?? takesNew
            decisions[span.traceID] = isKept
            if isKept { kept.insert(span) } else { held.append((span, now + 2_000_000_000)) }
        }
    }
}
