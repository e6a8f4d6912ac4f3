internal import Bytes
internal import WireFormats

extension FuzzTarget {
    /// What is decoded lies inside the input and is encoded to the same bytes again. The checksum is put right first, so
    /// that mutations reach what is behind it.
    static let crestDatagram = FuzzTarget(
        name: "crest-datagram",
        seeds: { [seed(.lines, plain: nil, key: nil), seed(.spans, plain: 99, key: HMACSHA256(key: [1]))] },
        check: { input in
            var bytes = input
            if bytes.count >= 68 {
                let end = bytes[5] & 2 != 0 ? max(bytes.count - 16, 68) : bytes.count
                let crc = crc32c(Array(bytes[68..<end]), continuing: crc32c(Array(bytes[..<64])))
                for index in 0..<4 { bytes[64 + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
            }
            return bytes.withUnsafeBytes { defect(of: $0) }
        })

    private static func seed(_ signal: CrestDatagramSignal, plain: Int?, key: HMACSHA256?) -> [UInt8] {
        var head = CrestDatagramHead()
        head.signal = signal
        (head.source, head.epoch, head.sequence, head.time) = (7, 8, 9, 10)
        (head.produced, head.dropped, head.items) = (20, 5, 2)
        return Array("a:1|c\nb:2|c".utf8).withUnsafeBytes {
            encodeCrestDatagram(head, payload: $0, plainBytes: plain, key: key)
        }
    }

    private static func defect(of bytes: UnsafeRawBufferPointer) -> String? {
        guard let decoded = try? decodeCrestDatagram(bytes, limit: 1 << 20) else { return nil }
        guard decoded.payload.upperBound + (decoded.tag?.count ?? 0) == bytes.count else { return "bytes left over" }
        guard decoded.head.sent >= UInt64(decoded.head.items) else { return "more items than were sent" }
        let payload = UnsafeRawBufferPointer(rebasing: bytes[decoded.payload])
        let again = encodeCrestDatagram(
            decoded.head, payload: payload, plainBytes: decoded.isCompressed ? decoded.plainBytes : nil)
        guard decoded.tag == nil else { return again.count + 16 == bytes.count ? nil : "another length" }
        return again.elementsEqual(bytes) ? nil : "encoded differently"
    }
}
