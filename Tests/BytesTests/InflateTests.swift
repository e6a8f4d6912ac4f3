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
}
