import Bytes
import TestKit
import Testing

@Suite("Snappy blocks")
struct SnappyTests {
    private func inflate(_ block: [UInt8], limit: Int = 1 << 22) throws(InflateError) -> [UInt8] {
        let result = block.withUnsafeBytes { bytes in
            Result { () throws(InflateError) in try snappyInflated(bytes, limit: limit) }
        }
        return try result.get()
    }

    @Test(
        "Blocks by hand",
        arguments: [
            ([0], ""), ([3, 8, 0x61, 0x62, 0x63], "abc"),
            // A copy that reaches into itself, in all three forms.
            ([6, 4, 0x61, 0x62, 0x01, 2], "ababab"), ([6, 4, 0x61, 0x62, 0x0e, 2, 0], "ababab"),
            ([6, 4, 0x61, 0x62, 0x0f, 2, 0, 0, 0], "ababab"),
            // A literal with its length in one and in four bytes.
            ([2, 0xf0, 1, 0x61, 0x62], "ab"), ([2, 0xfc, 1, 0, 0, 0, 0x61, 0x62], "ab"),
            // A length that takes two bytes where one would do.
            ([0x82, 0, 4, 0x61, 0x62], "ab"),
        ])
    func byHand(block: [UInt8], text: String) throws {
        #expect(try inflate(block) == Array(text.utf8))
    }

    @Test(
        "Not blocks",
        arguments: [
            [], [0x80], [1], [1, 8, 0x61], [2, 0, 0x61], [0, 0, 0x61], [4, 0x01, 1], [5, 0, 0x61, 0x01, 0],
            [5, 0, 0x61, 0x01, 2], [5, 0, 0x61, 0x0e, 2], [4, 0, 0x61, 0x01, 1], [2, 0xfc, 0xff, 0xff, 0xff, 0xff, 1],
            [0x80, 0x80, 0x80, 0x80, 0x10, 0], [0x80, 0x80, 0x80, 0x80, 0x80, 0],
        ] as [[UInt8]])
    func refused(block: [UInt8]) {
        #expect(throws: InflateError.malformed) { try inflate(block) }
    }

    @Test("Round trips of random and repetitive bytes")
    func roundTrips() throws {
        var random = SeededRandom(seed: 11)
        for size in [0, 1, 3, 4, 59, 60, 61, 255, 256, 257, 5_000, 70_000, 300_000] {
            for alphabet in [2, 20, 256] {
                let source = (0..<size).map { _ in UInt8(random.next() % UInt64(alphabet)) }
                #expect(try inflate(SnappyEncoder.encode(source)) == source, "\(size) of \(alphabet)")
            }
        }
        var literals: [UInt8] = [0xac, 0x02]
        let source = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        SnappyEncoder.appendLiteral(source[...], to: &literals)
        #expect(try inflate(literals) == source)
    }

    @Test("A length beyond the limit is too large; one that the bytes cannot fill reserves nothing")
    func bombs() {
        #expect(throws: InflateError.tooLarge(limit: 100)) { try inflate([101, 0], limit: 100) }
        #expect(throws: InflateError.malformed) { try inflate([0xff, 0xff, 0xff, 0x01, 0, 0x61]) }
    }

    @Test("Cut at any byte it is malformed; with any bit flipped it is the same length or malformed")
    func everyCutAndFlip() throws {
        var random = SeededRandom(seed: 12)
        let source = (0..<400).map { _ in UInt8(random.next() % 3) }
        let block = SnappyEncoder.encode(source)
        for length in 0..<block.count {
            #expect(throws: InflateError.malformed) { try inflate(Array(block.prefix(length))) }
        }
        for bit in 0..<(block.count * 8) {
            var flipped = block
            flipped[bit / 8] ^= 1 << (bit % 8)
            do throws(InflateError) {
                let plain = try inflate(flipped)
                #expect(bit < 16 || plain.count == source.count)
            } catch { #expect(error == .malformed) }
        }
    }
}
