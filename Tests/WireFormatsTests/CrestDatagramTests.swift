import Bytes
import Testing
import WireFormats

@Suite("Crest datagrams")
struct CrestDatagramTests {
    private let payload = Array("a:1|c\nb:2|c".utf8)

    private var head: CrestDatagramHead {
        var head = CrestDatagramHead()
        head.signal = .lines
        (head.source, head.epoch, head.sequence, head.time) = (7, 8, 9, 10)
        (head.produced, head.dropped, head.items) = (20, 5, 2)
        return head
    }

    private func encode(_ head: CrestDatagramHead, _ payload: [UInt8], plain: Int? = nil, tagged: Bool = false)
        -> [UInt8]
    {
        let key = tagged ? HMACSHA256(key: [1, 2, 3]) : nil
        return payload.withUnsafeBytes { encodeCrestDatagram(head, payload: $0, plainBytes: plain, key: key) }
    }

    private func decode(_ bytes: [UInt8], limit: Int = 1_000) throws(CrestDatagramError) -> CrestDatagram {
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(CrestDatagramError) in try decodeCrestDatagram(bytes, limit: limit) }
        }
        return try result.get()
    }

    private func fault(_ bytes: [UInt8], limit: Int = 1_000) -> CrestDatagramError? {
        do throws(CrestDatagramError) { _ = try decode(bytes, limit: limit) } catch { return error }
        return nil
    }

    @Test("What is encoded is decoded", arguments: [false, true])
    func roundTrip(tagged: Bool) throws {
        let bytes = encode(head, payload, tagged: tagged)
        let decoded = try decode(bytes)
        #expect(decoded.head == head && Array(bytes[decoded.payload]) == payload && !decoded.isCompressed)
        #expect(decoded.plainBytes == payload.count && (decoded.tag != nil) == tagged)
        let compressed = try decode(encode(head, [1, 2, 3], plain: 900, tagged: tagged))
        #expect(compressed.isCompressed && compressed.plainBytes == 900 && compressed.payload == 68..<71)
        var report = CrestDatagramHead()
        (report.source, report.sequence, report.produced) = (1, 1, 4)
        let empty = try decode(encode(report, [], tagged: tagged))
        #expect(empty.head == report && empty.payload.isEmpty)
    }

    @Test("Every cut and every flipped bit is refused; only the tag is not under the checksum")
    func cutAndFlip() {
        let plain = encode(head, payload)
        for count in 0..<plain.count { #expect(fault(Array(plain[..<count])) != nil, "cut at \(count)") }
        #expect(fault(plain + [0])?.kind == .checksum)
        let tagged = encode(head, payload, tagged: true)
        for bit in 0..<tagged.count * 8 {
            var flipped = tagged
            flipped[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect((fault(flipped) != nil) == (bit / 8 < tagged.count - 16), "bit \(bit)")
        }
    }

    @Test("Heads that make no sense are refused where the nonsense is")
    func refused() {
        func at(_ offset: Int, _ kind: CrestDatagramError.Kind = .malformed) -> CrestDatagramError {
            CrestDatagramError(kind: kind, offset: offset)
        }
        func changed(_ change: (inout CrestDatagramHead) -> Void) -> [UInt8] {
            var head = head
            change(&head)
            return encode(head, payload)
        }
        #expect(fault([]) == at(0) && fault(payload) == at(payload.count))
        #expect(fault(changed { $0.source = 0 }) == at(8))
        #expect(fault(changed { $0.sequence = 0 }) == at(24))
        #expect(fault(changed { $0.dropped = 21 }) == at(32))
        #expect(fault(changed { $0.dropped = 19 }) == at(32))
        #expect(fault(changed { $0.dropped = .max }) == at(32))
        #expect(fault(changed { $0.items = 0 }) == at(56))
        #expect(fault(changed { $0.signal = .report }) == at(56))
        #expect(fault(encode(head, [])) == at(60))
        #expect(fault(encode(head, payload), limit: payload.count - 1) == at(60))
        #expect(fault(encode(head, [], plain: 5)) == at(60))
        #expect(fault(encode(head, [1], plain: 0)) == at(60))
        for (offset, value) in [(4, 2), (5, 4), (6, 3), (7, 1)] as [(Int, UInt8)] {
            var bytes = encode(head, payload)
            bytes[offset] = value
            let crc = crc32c(Array(bytes[68...]), continuing: crc32c(Array(bytes[..<64])))
            for index in 0..<4 { bytes[64 + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
            #expect(fault(bytes) == at(offset, .version))
        }
    }
}
