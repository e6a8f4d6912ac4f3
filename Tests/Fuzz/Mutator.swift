/// A seeded generator (SplitMix64), so that a failure can be replayed from its seed.
struct FuzzRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return word ^ word >> 31
    }

    /// - Parameter bound: at least 1.
    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: next() % UInt64(bound)) }
}

/// Makes new inputs from old ones.
struct Mutator {
    var random: FuzzRandom
    let corpus: [[UInt8]]

    /// Inputs grow no further than this.
    private static let inputBytes = 16 << 10

    /// A member of the corpus after one to eight changes.
    mutating func next() -> [UInt8] {
        var input = corpus[random.below(corpus.count)]
        for _ in 0...random.below(8) {
            change(&input)
            if input.count > Self.inputBytes { input.removeLast(input.count - Self.inputBytes) }
        }
        return input
    }

    private mutating func change(_ input: inout [UInt8]) {
        guard !input.isEmpty else {
            input = corpus[random.below(corpus.count)]
            return
        }
        let at = random.below(input.count)
        switch random.below(9) {
        case 0: input[at] ^= 1 << UInt8(random.below(8))
        case 1: input[at] = UInt8(truncatingIfNeeded: random.next())
        case 2: input.removeLast(input.count - at)
        case 3: input.removeSubrange(at..<min(input.count, at + 1 + random.below(8)))
        case 4: input.insert(contentsOf: piece(of: input), at: at)
        case 5: input.insert(contentsOf: piece(of: corpus[random.below(corpus.count)]), at: at)
        case 6: stomp(&input, at: at, with: varint())
        case 7: stomp(&input, at: at, with: Self.spice[random.below(Self.spice.count)])
        default: repeatPiece(&input, at: at)
        }
    }

    private mutating func piece(of input: [UInt8]) -> [UInt8] {
        guard !input.isEmpty else { return [] }
        let start = random.below(input.count)
        return Array(input[start..<min(input.count, start + 1 + random.below(64))])
    }

    private mutating func repeatPiece(_ input: inout [UInt8], at: Int) {
        let part = Array(input[at..<min(input.count, at + 1 + random.below(16))])
        for _ in 0...random.below(100) { input.insert(contentsOf: part, at: at) }
    }

    private func stomp(_ input: inout [UInt8], at: Int, with bytes: [UInt8]) {
        input.replaceSubrange(at..<min(input.count, at + bytes.count), with: bytes)
    }

    /// A varint at the edge of some width.
    private mutating func varint() -> [UInt8] {
        var rest = UInt64(1) << UInt64(random.below(64))
        if random.below(2) == 0 { rest &-= 1 }
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(truncatingIfNeeded: rest & 0x7f) | (rest > 0x7f ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return bytes
    }

    /// Bytes that mean something to one of the grammars.
    private static let spice: [[UInt8]] = [
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x80, 0x80, 0x80, 0x80, 0x00], [0x0a, 0x00],
        [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98, 0x80], [0xc0], Array("\\ud83d".utf8), Array("\\u0000".utf8),
        Array("9223372036854775808".utf8), Array("-1e400".utf8), Array("null".utf8), Array("[[[[[[".utf8),
        Array("{\"a\":".utf8), Array("\"".utf8), Array(":".utf8), Array("|".utf8), Array("@0".utf8), Array("\n".utf8),
        Array("#".utf8),
    ]
}
