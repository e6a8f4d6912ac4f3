import Bytes
import Testing

@Suite("ByteReader and ByteWriter")
struct ByteReaderTests {
    @Test("What the writer wrote, the reader reads back")
    func roundTrip() throws {
        var writer = ByteWriter()
        writer.write(UInt8(7))
        writer.write(UInt16(0xBEEF))
        writer.write(UInt32(0xDEAD_BEEF))
        writer.write(Int64.min)
        for value in [0, 1, 127, 128, 300, UInt64(UInt32.max), .max] { writer.writeVarint(value) }
        writer.write("tail")
        let bytes = writer.bytes
        var reader = ByteReader(bytes.span.bytes)
        let byte = try reader.read(UInt8.self)
        let short = try reader.read(UInt16.self)
        let word = try reader.read(UInt32.self)
        let long = try reader.read(Int64.self)
        #expect(byte == 7 && short == 0xBEEF && word == 0xDEAD_BEEF && long == .min)
        for expected in [0, 1, 127, 128, 300, UInt64(UInt32.max), .max] {
            let value = try reader.readVarint()
            #expect(value == expected)
        }
        let tail = try reader.readBytes(4)
        let atEnd = reader.isAtEnd
        #expect(tail == Array("tail".utf8) && atEnd)
    }

    @Test("Bytes cut anywhere throw with an offset inside and never trap")
    func everyCut() {
        var writer = ByteWriter()
        writer.write(UInt32(1))
        writer.writeVarint(1 << 40)
        writer.write(UInt64(3))
        for length in 0..<writer.count {
            let bytes = Array(writer.bytes.prefix(length))
            var reader = ByteReader(bytes.span.bytes)
            do {
                _ = try reader.read(UInt32.self)
                _ = try reader.readVarint()
                _ = try reader.read(UInt64.self)
                Issue.record("length \(length) was accepted")
            } catch {
                guard case .truncated(let offset, _) = error else {
                    Issue.record("length \(length): \(error)")
                    continue
                }
                #expect(offset <= length)
            }
        }
    }

    @Test("A varint beyond 64 bits is an error at its first byte")
    func varintOverflow() {
        for bytes in [[UInt8](repeating: 0xff, count: 11), [UInt8](repeating: 0xff, count: 9) + [0x02]] {
            var reader = ByteReader(bytes.span.bytes)
            #expect(throws: ByteReadError.varintOverflow(offset: 0)) { try reader.readVarint() }
        }
        let largest = [UInt8](repeating: 0xff, count: 9) + [0x01]
        var reader = ByteReader(largest.span.bytes)
        let value = try? reader.readVarint()
        #expect(value == .max)
    }

    @Test("A count beyond its limit is refused")
    func counts() {
        var writer = ByteWriter()
        writer.writeVarint(.max)
        let bytes = writer.bytes
        var reader = ByteReader(bytes.span.bytes)
        #expect(throws: ByteReadError.varintOverflow(offset: 0)) { try reader.readCount(limit: 10) }
    }

    @Test("Zig-zag keeps small magnitudes small and round-trips", arguments: [0, 1, -1, 63, -64, .max, .min])
    func zigzag(value: Int64) {
        #expect(zigzagDecoded(zigzagEncoded(value)) == value)
        if (-64..<64).contains(value) { #expect(zigzagEncoded(value) < 128) }
    }
}
