import Listeners
import TestKit
import Testing

@Suite struct DropCountTests {
    @Test("A 32-bit counter that wraps is followed into 64 bits")
    func wraps() {
        var count = DropCount()
        #expect(count.advance(to: 0x7FFF_0000) == 0x7FFF_0000)
        #expect(count.advance(to: 0xF000_0000) == 0x7001_0000)
        var near = DropCount(total: 0xFFFF_FFF0)
        #expect(near.advance(to: 5) == 21)
        #expect(near.total == 0x1_0000_0005)
        #expect(near.advance(to: 5) == 0)
    }

    @Test("An older reading changes nothing, also across the wrap")
    func olderReading() {
        var count = DropCount(total: 0x1_0000_0005)
        #expect(count.advance(to: 0xFFFF_FFF0) == 0)
        #expect(count.advance(to: 4) == 0)
        #expect(count.total == 0x1_0000_0005)
        #expect(count.advance(to: 6) == 1)
    }

    @Test("Two readings, one of them late, never take from the count and always give the true total", arguments: 1...20)
    func model(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var truth: UInt64 = 0xFFFF_0000
        var count = DropCount(total: truth)
        var before = truth
        for _ in 0..<2_000 {
            truth &+= random.next() % 100_000
            _ = count.advance(to: UInt32(truncatingIfNeeded: before))
            _ = count.advance(to: UInt32(truncatingIfNeeded: truth))
            #expect(count.total == truth, "seed \(seed)")
            before = truth
        }
    }
}
