/// Authenticates messages under a key: HMAC-SHA256, of which the first 16 bytes are sent.
///
/// Source: RFC 2104, FIPS 180-4; schemas/wire/crest-datagram.md, "tag".
package struct MessageTag: Sendable {
    package static let bytes = 16

    /// The states after the block of the key, so that a message costs no more than its own blocks and two.
    private let inner: SIMD8<UInt32>
    private let outer: SIMD8<UInt32>

    package init(key: [UInt8]) {
        var block = key.count > SHA256Block.bytes ? SHA256Block.digest(key) : key
        block += [UInt8](repeating: 0, count: SHA256Block.bytes - block.count)
        inner = block.map { $0 ^ 0x36 }.withUnsafeBytes { SHA256Block.mixed(SHA256Block.start, $0) }
        outer = block.map { $0 ^ 0x5c }.withUnsafeBytes { SHA256Block.mixed(SHA256Block.start, $0) }
    }

    /// The whole code of a message, 32 bytes.
    package func code(_ message: [UInt8]) -> [UInt8] {
        let digest = SHA256Block.finished(inner, message, before: SHA256Block.bytes)
        return SHA256Block.finished(outer, digest, before: SHA256Block.bytes)
    }

    package func tag(_ message: [UInt8]) -> ArraySlice<UInt8> { code(message).prefix(Self.bytes) }
}

/// The compression of SHA-256.
private enum SHA256Block {
    static let bytes = 64
    static let start: SIMD8<UInt32> = [
        0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19,
    ]

    static func digest(_ message: [UInt8]) -> [UInt8] { finished(start, message, before: 0) }

    /// - Parameter before: bytes that `state` has taken already, whole blocks.
    static func finished(_ state: SIMD8<UInt32>, _ message: [UInt8], before: Int) -> [UInt8] {
        var tail = Array(message[(message.count / bytes * bytes)...])
        tail.append(0x80)
        while tail.count % bytes != bytes - 8 { tail.append(0) }
        withUnsafeBytes(of: (UInt64(before + message.count) * 8).bigEndian) { tail.append(contentsOf: $0) }
        let whole = message.withUnsafeBytes {
            mixed(state, UnsafeRawBufferPointer(rebasing: $0[..<($0.count / 64 * 64)]))
        }
        let last = tail.withUnsafeBytes { mixed(whole, $0) }
        return (0..<8).flatMap { index in withUnsafeBytes(of: last[index].bigEndian) { Array($0) } }
    }

    static func mixed(_ state: SIMD8<UInt32>, _ blocks: UnsafeRawBufferPointer) -> SIMD8<UInt32> {
        var state = state
        withUnsafeTemporaryAllocation(of: UInt32.self, capacity: 64) { words in
            for start in stride(from: 0, to: blocks.count, by: bytes) {
                for index in 0..<16 {
                    words[index] = UInt32(
                        bigEndian: blocks.loadUnaligned(fromByteOffset: start + 4 * index, as: UInt32.self))
                }
                for index in 16..<64 {
                    let (early, late) = (words[index - 15], words[index - 2])
                    let first = rotated(early, 7) ^ rotated(early, 18) ^ early >> 3
                    let second = rotated(late, 17) ^ rotated(late, 19) ^ late >> 10
                    words[index] = words[index - 16] &+ first &+ words[index - 7] &+ second
                }
                state &+= rounds(state, words)
            }
        }
        return state
    }

    private static func rounds(_ state: SIMD8<UInt32>, _ words: UnsafeMutableBufferPointer<UInt32>) -> SIMD8<UInt32> {
        var (a, b, c, d) = (state[0], state[1], state[2], state[3])
        var (e, f, g, h) = (state[4], state[5], state[6], state[7])
        for index in 0..<64 {
            let choice = (e & f) ^ (~e & g)
            let majority = (a & b) ^ (a & c) ^ (b & c)
            let mix = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
            let first = h &+ mix &+ choice &+ constants[index] &+ words[index]
            let second = (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) &+ majority
            (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
        return [a, b, c, d, e, f, g, h]
    }

    private static func rotated(_ word: UInt32, _ count: UInt32) -> UInt32 { word &>> count | word &<< (32 &- count) }

    /// Cube roots of the first 64 primes.
    private static let constants: [UInt32] = [
        0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
        0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
        0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
        0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
        0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
        0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
        0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
        0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
    ]
}
