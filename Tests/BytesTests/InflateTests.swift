import Bytes
import Testing

@Suite("Inflating gzip, zlib and zstd")
struct InflateTests {
    let text = Array(String(repeating: "midnight promo ", count: 700).utf8)

    private func zstd(_ source: [UInt8]) -> [UInt8] {
        var frame: [UInt8] = []
        let count = source.withUnsafeBytes { ZstdCompressor(level: 1).append($0, to: &frame) }
        #expect(count == frame.count)
        return frame
    }

    @Test("Round trips, and several frames or members in a row are one stream")
    func roundTrip() throws {
        let gzip = try #require(gzipped(text))
        let frame = zstd(text)
        for (source, expected) in [(gzip, text), (gzip + gzip, text + text)] {
            let plain = try source.withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1 << 20) }
            #expect(plain == expected)
        }
        for (source, expected) in [(frame, text), (frame + frame, text + text)] {
            let plain = try source.withUnsafeBytes { try zstdInflated($0, limit: 1 << 20) }
            #expect(plain == expected)
        }
        let exact = try frame.withUnsafeBytes { try zstdInflated($0, exactly: text.count) }
        #expect(exact == text)
    }

    @Test("A bomb stops at the limit")
    func bomb() throws {
        let zeros = [UInt8](repeating: 0, count: 8 << 20)
        let gzip = try #require(gzipped(zeros))
        let frame = zstd(zeros)
        let limit = 1 << 20
        #expect(throws: InflateError.tooLarge(limit: limit)) {
            try gzip.withUnsafeBytes { try inflated($0, framing: .gzip, limit: limit) }
        }
        #expect(throws: InflateError.tooLarge(limit: limit)) {
            try frame.withUnsafeBytes { try zstdInflated($0, limit: limit) }
        }
        #expect(throws: InflateError.malformed) {
            try frame.withUnsafeBytes { try zstdInflated($0, exactly: limit) }
        }
    }

    @Test("Streams cut at any byte are malformed, never a trap")
    func everyCut() throws {
        let gzip = try #require(gzipped(text))
        for length in 0..<gzip.count {
            #expect(throws: InflateError.malformed) {
                try Array(gzip.prefix(length)).withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1 << 20) }
            }
        }
        let frame = zstd(text)
        for length in 1..<frame.count {
            #expect(throws: InflateError.malformed) {
                try Array(frame.prefix(length)).withUnsafeBytes { try zstdInflated($0, limit: 1 << 20) }
            }
        }
    }

    @Test("Bytes that are no stream at all are malformed")
    func garbage() {
        let bytes = Array("this is not compressed".utf8)
        #expect(throws: InflateError.malformed) {
            try bytes.withUnsafeBytes { try inflated($0, framing: .gzip, limit: 100) }
        }
        #expect(throws: InflateError.malformed) {
            try bytes.withUnsafeBytes { try inflated($0, framing: .zlib, limit: 100) }
        }
        #expect(throws: InflateError.malformed) { try bytes.withUnsafeBytes { try zstdInflated($0, limit: 100) } }
    }

    @Test("Anything behind a stream is malformed, whatever the framing")
    func trailingBytes() throws {
        let gzip = try #require(gzipped(text))
        // zlib's framing around the same deflate stream, with the right checksum.
        var sums: (low: UInt32, high: UInt32) = (1, 0)
        for byte in text {
            sums.low = (sums.low + UInt32(byte)) % 65_521
            sums.high = (sums.high + sums.low) % 65_521
        }
        let adler = (0..<4).map { UInt8(truncatingIfNeeded: (sums.high << 16 | sums.low) >> (24 - 8 * UInt32($0))) }
        let zlib = [0x78, 0x01] + gzip.dropFirst(10).dropLast(8) + adler
        #expect(try zlib.withUnsafeBytes { try inflated($0, framing: .zlib, limit: 1 << 20) } == text)
        for garbage in [[0], [0x1f, 0x8b], Array("GET / HTTP/1.1".utf8), [UInt8](repeating: 0, count: 4_096)] {
            #expect(throws: InflateError.malformed) {
                try (gzip + garbage).withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1 << 20) }
            }
            #expect(throws: InflateError.malformed) {
                try (zlib + garbage).withUnsafeBytes { try inflated($0, framing: .zlib, limit: 1 << 20) }
            }
            #expect(throws: InflateError.malformed) {
                try (zstd(text) + garbage).withUnsafeBytes { try zstdInflated($0, limit: 1 << 20) }
            }
        }
    }

    @Test("Members and frames without content are counted too")
    func emptyMembers() throws {
        let member = try #require(gzipped([]))
        var frame = zstd([])
        // A skippable frame of nothing does as much harm.
        let skippable: [UInt8] = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]
        let most = InflateBounds.members
        func repeated(_ piece: [UInt8], _ count: Int) -> [UInt8] { (0..<count).flatMap { _ in piece } }
        let plain = try repeated(member, most).withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1) }
        #expect(plain.isEmpty)
        #expect(throws: InflateError.malformed) {
            try repeated(member, most + 1).withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1) }
        }
        for piece in [frame, skippable] {
            #expect(throws: InflateError.malformed) {
                try repeated(piece, most + 1).withUnsafeBytes { try zstdInflated($0, limit: 1) }
            }
        }
        frame = repeated(frame, most)
        #expect(try frame.withUnsafeBytes { try zstdInflated($0, limit: 1) }.isEmpty)
    }

    @Test("A window that wants more memory than 8 MiB is refused before it is had")
    func largeWindow() throws {
        // Magic, descriptor without content size, window byte: exponent 13 above 1 KiB is 8 MiB. A last raw block of 1.
        func frame(exponent: UInt8, mantissa: UInt8 = 0) -> [UInt8] {
            [0x28, 0xb5, 0x2f, 0xfd, 0x00, exponent << 3 | mantissa, 0x09, 0, 0, 0x41]
        }
        #expect(try frame(exponent: 13).withUnsafeBytes { try zstdInflated($0, limit: 100) } == [0x41])
        for (exponent, mantissa) in [(13, 1), (14, 0), (21, 0), (31, 7)] as [(UInt8, UInt8)] {
            #expect(throws: InflateError.malformed, "2^\(10 + Int(exponent))") {
                try frame(exponent: exponent, mantissa: mantissa).withUnsafeBytes { try zstdInflated($0, limit: 100) }
            }
        }
    }

    @Test("A compressed stream inside another is inflated once")
    func nested() throws {
        let inner = try #require(gzipped([UInt8](repeating: 0, count: 8 << 20)))
        let outer = try #require(gzipped(inner))
        #expect(try outer.withUnsafeBytes { try inflated($0, framing: .gzip, limit: 1 << 20) } == inner)
    }

    @Test("A snappy block that lies about its length costs neither memory nor time")
    func snappyLies() {
        for length: [UInt8] in [
            [0xff, 0xff, 0xff, 0xff, 0x0f], [0x80, 0x80, 0x80, 0x20], [0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ] {
            for rest: [UInt8] in [[], [0x00, 0x41], [0xfe, 1, 0], [0x05, 0x00]] {
                #expect(throws: InflateError.self) {
                    try (length + rest).withUnsafeBytes { try snappyInflated($0, limit: 64 << 20) }
                }
            }
        }
    }
}
