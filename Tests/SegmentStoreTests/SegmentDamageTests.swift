import SegmentStore
import Telemetry
import Testing

/// Every cut and every flipped bit is noticed, and nothing traps.
struct SegmentDamageTests {
    static func small() -> [UInt8] {
        var source = SegmentRandomSpans(seed: 5)
        source.traceCount = 4
        return segmentBytes(source.batches(2, spans: 12), blockSpans: 8).bytes
    }

    /// True when opening or verifying says that the file is damaged.
    static func isRefused(_ bytes: [UInt8]) -> Bool {
        do {
            try openSegment(bytes).verify()
            return false
        } catch {
            return true
        }
    }

    @Test func everyCutIsRefused() {
        let bytes = Self.small()
        #expect(!Self.isRefused(bytes))
        for count in 0..<bytes.count { #expect(Self.isRefused(Array(bytes[..<count])), "cut at \(count)") }
        #expect(Self.isRefused(bytes + [0]))
    }

    @Test func everyFlippedBitIsRefused() {
        var bytes = Self.small()
        for offset in bytes.indices {
            for bit in 0..<8 {
                bytes[offset] ^= 1 << UInt8(bit)
                #expect(Self.isRefused(bytes), "bit \(bit) of byte \(offset)")
                bytes[offset] ^= 1 << UInt8(bit)
            }
        }
    }

    @Test func damageIsConfinedToItsBlock() throws {
        var source = SegmentRandomSpans(seed: 6)
        source.traceCount = 12
        var bytes = segmentBytes(source.batches(3, spans: 40), blockSpans: 8).bytes
        bytes[70] ^= 0x10
        let reader = try openSegment(bytes)
        #expect(reader.blockCount > 3)
        var failed = 0
        var read = 0
        for index in 0..<reader.blockCount {
            do throws(SegmentError) { read += try reader.spans(inBlock: index).count } catch {
                failed += 1
                guard case .damaged("test", index, _) = error else {
                    Issue.record("wrong place: \(error)")
                    continue
                }
            }
        }
        #expect(failed == 1)
        #expect(read > 0)
    }
}
