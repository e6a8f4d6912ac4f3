import Telemetry
import TestKit
import Testing

@Suite("Admission level")
struct AdmissionLevelTests {
    private let millisecond: UInt64 = 1_000_000

    @Test("Long waits cut 5 % a window, short ones give 1 % back, and it stays within its ends")
    func cutAndRaise() {
        let level = AdmissionLevel()
        var now: UInt64 = 1_000 * millisecond
        #expect(level.isFull && level.level == 256)
        level.note(requests: 10, waited: 10 * 21 * millisecond, now: now)
        #expect(level.level == 243)
        for _ in 0..<200 {
            now += 100 * millisecond
            level.note(requests: 1, waited: 21 * millisecond, now: now)
        }
        #expect(level.level == 0)
        for _ in 0..<99 {
            now += 100 * millisecond
            level.note(requests: 1, waited: 20 * millisecond, now: now)
        }
        #expect(level.level > 250 && !level.isFull)
        now += 200 * millisecond
        level.pass(now: now)
        #expect(level.isFull)
    }

    @Test("A window is 100 ms or 2,000 requests, and its mean counts")
    func windows() {
        let level = AdmissionLevel()
        let now: UInt64 = 1_000 * millisecond
        level.note(requests: 1, waited: 0, now: now)
        level.note(requests: 1_000, waited: 1_000 * 50 * millisecond, now: now + millisecond)
        #expect(level.isFull)
        level.note(requests: 1_000, waited: 0, now: now + 2 * millisecond)
        #expect(level.level == 243)
        level.note(requests: 1_999, waited: 1_999 * 50 * millisecond, now: now + 3 * millisecond)
        #expect(level.level == 243)
        level.note(requests: 2_001, waited: 0, now: now + 4 * millisecond)
        #expect(level.level == 231)
    }

    @Test("A time that is over counts although nothing more comes")
    func silence() {
        let level = AdmissionLevel()
        level.note(requests: 1, waited: 0, now: 1_000 * millisecond)
        level.note(requests: 5, waited: 5 * 21 * millisecond, now: 1_001 * millisecond)
        level.note(requests: 5, waited: 5 * 21 * millisecond, now: 1_100 * millisecond)
        #expect(level.level == 243)
        level.note(requests: 1, waited: 21 * millisecond, now: 1_101 * millisecond)
        for step in 1...20 as ClosedRange<UInt64> { level.pass(now: (1_100 + step * 100) * millisecond) }
        #expect(level.isFull)
    }

    @Test("A clock that stands still or goes back traps nothing and gives nothing back")
    func strangeClocks() {
        let level = AdmissionLevel()
        level.note(requests: 1, waited: .max, now: 500 * millisecond)
        let cut = level.level
        for now in [0, 500 * millisecond, 1] { level.pass(now: now) }
        #expect(level.level == cut)
        level.pass(now: .max)
        #expect(level.isFull)
    }
}

@Suite("Parts of batches")
struct SpanSubsetTests {
    @Test("A subset has the records that were chosen and is valid", arguments: 1...20 as ClosedRange<UInt64>)
    func subset(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let records = (0..<UInt64(random.below(40))).map { number in
            var record = SpanBatchTests.record(number + 1)
            record.resource.serviceName = random.pick(["a", "b", ""])
            record.scope.name = random.pick(["x", "y"])
            record.events += record.events
            return record
        }
        let batch = SpanBatch(origin: BatchOrigin(tenant: "t", arrival: 42), records: records)
        var selection = SpanSelection(count: records.count)
        for index in records.indices where random.oneIn(3) { selection.insert(index) }
        let subset = batch.subset(selection)
        try subset.validate()
        let wanted = records.indices.filter { selection.contains($0) }.map { records[$0] }
        #expect(subset.spans.indices.map(subset.record) == wanted, "seed \(seed)")
        #expect(subset.origin == batch.origin && selection.selectedCount == wanted.count)
        #expect(selection.inverted.selectedCount == records.count - wanted.count)
        #expect(subset.arena.count <= batch.arena.count && subset.scopes.count <= batch.scopes.count)
    }

    @Test("Whatever is beyond a selection is not in it")
    func beyond() {
        var selection = SpanSelection(count: 65)
        for index in [-1, 0, 64, 65, .max, .min] { selection.insert(index) }
        #expect(selection.selectedCount == 2 && selection.contains(64) && !selection.contains(65))
        #expect(!selection.contains(-1) && SpanSelection(count: -3).selectedCount == 0)
    }
}
