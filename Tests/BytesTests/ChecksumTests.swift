import Bytes
import Testing

@Suite("CRC32C and hexadecimal")
struct ChecksumTests {
    @Test("Known answers of RFC 3720 appendix B.4")
    func knownAnswers() {
        #expect(crc32c(Array("123456789".utf8)) == 0xE306_9283)
        #expect(crc32c([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(crc32c([UInt8](repeating: 0xff, count: 32)) == 0x62A8_AB43)
        #expect(crc32c(Array(0..<32)) == 0x46DD_794E)
        #expect(crc32c([UInt8]()) == 0)
    }

    @Test("Pieces give the same sum as the whole, for every cut")
    func pieces() {
        let bytes = (0..<67).map { UInt8(truncatingIfNeeded: $0 &* 37) }
        let whole = crc32c(bytes)
        for cut in 0...bytes.count {
            let first = crc32c(Array(bytes[..<cut]))
            #expect(crc32c(Array(bytes[cut...]), continuing: first) == whole)
        }
    }

    @Test("Long runs go three lanes at a time; each length around their ends is what a bit at a time gives")
    func lanes() {
        let bytes = (0..<9_300).map { UInt8(truncatingIfNeeded: $0 &* $0 &>> 3 &+ $0) }
        var sums: [UInt32] = [0]
        for byte in bytes {
            var state = ~(sums.last ?? 0) ^ UInt32(byte)
            for _ in 0..<8 { state = state >> 1 ^ (state & 1 == 0 ? 0 : 0x82F6_3B78) }
            sums.append(~state)
        }
        for length in [1_023, 2_048] + Array(3_060...3_090) + Array(6_140...6_150) + Array(9_214...9_220) {
            #expect(crc32c(Array(bytes[..<length])) == sums[length], "\(length) bytes")
            #expect(crc32c(Array(bytes[5..<length]), continuing: sums[5]) == sums[length], "\(length - 5) bytes")
        }
    }

    @Test("Every flipped bit changes the sum")
    func flips() {
        let bytes = Array("a short record".utf8)
        let whole = crc32c(bytes)
        for bit in 0..<bytes.count * 8 {
            var flipped = bytes
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(crc32c(flipped) != whole)
        }
    }

    @Test("Hex digits: all 256 bytes are either a digit or refused")
    func hexDigits() {
        let digits = Set("0123456789abcdefABCDEF".utf8)
        for byte in UInt8.min ... .max {
            #expect((hexValue(byte) != nil) == digits.contains(byte))
            if let value = hexValue(byte), byte > UInt8(ascii: "F") || byte <= UInt8(ascii: "9") {
                #expect(hexDigit(value) == byte)
            }
        }
    }
}
