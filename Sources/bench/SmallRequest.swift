/// An OTLP request of one small trace, so that the number of requests is what counts and not their size.
enum SmallRequest {
    static let spans = 3

    /// The body of the request `number`: its trace id and times are its own.
    static func body(_ number: UInt64) -> [UInt8] {
        var scope = field(1, field(1, Array("bench".utf8)))
        for index in 0..<UInt64(spans) { scope += field(2, span(number, index)) }
        let service = field(1, field(1, Array("service.name".utf8)) + field(2, field(1, Array("bench".utf8))))
        return field(1, field(1, service) + field(2, scope))
    }

    private static func span(_ number: UInt64, _ index: UInt64) -> [UInt8] {
        let start = 1_790_000_000_000_000_000 + number * 1_000 + index
        let id = (number &* 4 &+ index &+ 1) &* 0x9E37_79B9_7F4A_7C15
        let root = (number &* 4 &+ 1) &* 0x9E37_79B9_7F4A_7C15
        var bytes = field(1, eight(number &* 0xD6E8_FEB8_6659_FD93 | 1) + eight(number))
        bytes += field(2, eight(id))
        if index > 0 { bytes += field(4, eight(root)) }
        bytes += field(5, Array("GET /item".utf8))
        bytes += [6 << 3, 2]
        bytes += [7 << 3 | 1] + eight(start) + [8 << 3 | 1] + eight(start + 100_000)
        return bytes + field(9, field(1, Array("http.route".utf8)) + field(2, field(1, Array("/item/{id}".utf8))))
    }

    private static func eight(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.littleEndian) { Array($0) } }

    /// A length-delimited field; at most 16 KiB.
    private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
        let length = bytes.count
        let prefix = length < 128 ? [UInt8(length)] : [UInt8(length & 127 | 128), UInt8(length >> 7)]
        return [number << 3 | 2] + prefix + bytes
    }
}
