/// A keyed 64-bit hash of bytes: multiply-and-fold over 16 bytes a step, with secrets drawn at start.
///
/// Senders of datagrams are strangers, so the secrets must not be guessable; equal hashes are still compared byte by
/// byte wherever it matters.
struct KeyedHash: Sendable {
    private let first: UInt64
    private let second: UInt64

    init(first: UInt64, second: UInt64) {
        self.first = first | 1
        self.second = second | 1 << 63
    }

    /// A hash with secrets of this process's own.
    static func random() -> KeyedHash {
        var generator = SystemRandomNumberGenerator()
        return KeyedHash(first: generator.next(), second: generator.next())
    }

    @inline(__always)
    private func fold(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return product.high ^ product.low
    }

    /// The hash of `bytes`, continuing from `seed`.
    @inline(__always)
    func hash(_ bytes: UnsafeRawBufferPointer, seed: UInt64) -> UInt64 {
        guard let base = bytes.baseAddress else { return seed &+ first }
        let count = bytes.count
        var state = seed ^ first
        if count >= 16 {
            var offset = 0
            while offset &+ 16 <= count {
                state = fold(word(base, offset) ^ second, word(base, offset &+ 8) ^ state)
                offset &+= 16
            }
            if offset < count {
                state = fold(word(base, count &- 16) ^ second, word(base, count &- 8) ^ state)
            }
        } else if count >= 8 {
            state = fold(word(base, 0) ^ second, word(base, count &- 8) ^ state)
        } else if count >= 4 {
            let low = UInt64(base.loadUnaligned(as: UInt32.self))
            let high = UInt64(base.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            state = fold((low << 32 | high) ^ second, state)
        } else if count > 0 {
            let low = UInt64(base.load(as: UInt8.self))
            let middle = UInt64(base.load(fromByteOffset: count >> 1, as: UInt8.self))
            let high = UInt64(base.load(fromByteOffset: count &- 1, as: UInt8.self))
            state = fold((low << 16 | middle << 8 | high) ^ second, state)
        }
        return fold(state ^ first, UInt64(truncatingIfNeeded: count) ^ second)
    }

    @inline(__always)
    private func word(_ base: UnsafeRawPointer, _ offset: Int) -> UInt64 {
        base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }
}
