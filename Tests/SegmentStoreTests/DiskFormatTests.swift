internal import Foundation
internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// The pages in schemas/disk hold for the code: sizes, and the worked dumps byte for byte.
struct DiskFormatTests {
    private let batch: SpanBatch = {
        let resource = Resource(attributes: [Attribute("service.name", .string("shop"))], serviceName: "shop")
        var span = SpanRecord(
            traceID: TraceID(high: 0, low: 0x1122_3344_5566_7788), spanID: SpanID(9), name: "GET", kind: 2, start: 1,
            end: 3, attributes: [Attribute("http.status_code", .int(200))], marks: .shortTraceID, resource: resource)
        span.status = 1
        return SpanBatch(origin: BatchOrigin(arrival: 5), records: [span])
    }()

    /// The bytes of the block that starts with ```` ```hex name ````.
    private func dump(_ name: String, on page: String) throws -> String {
        let url = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../schemas/disk/\(page)")
        let text = try String(contentsOf: url.standardizedFileURL, encoding: .utf8)
        let start = try #require(text.range(of: "```hex \(name)\n"))
        let end = try #require(text.range(of: "```", range: start.upperBound..<text.endIndex))
        return String(text[start.upperBound..<end.lowerBound])
    }

    /// `offset  16 bytes  |text|`
    private func formatted(_ bytes: [UInt8]) -> String {
        func hex(_ value: Int, _ width: Int) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: width - digits.count) + digits
        }
        var lines = ""
        for start in stride(from: 0, to: bytes.count, by: 16) {
            let row = bytes[start..<min(start + 16, bytes.count)]
            let hexes = row.map { hex(Int($0), 2) }.joined(separator: " ")
            let text = String(decoding: row.map { (32..<127).contains($0) ? $0 : 46 }, as: UTF8.self)
            lines += "\(hex(start, 4))  \(hexes)\(String(repeating: " ", count: 47 - hexes.count))  |\(text)|\n"
        }
        return lines
    }

    @Test func rowsHaveTheSizesOfThePage() {
        #expect(MemoryLayout<SpanRow>.size == 128 && MemoryLayout<SpanRow>.stride == 128)
        #expect(MemoryLayout<LinkRow>.size == 48 && MemoryLayout<LinkRow>.stride == 48)
        #expect(MemoryLayout<ScopeRow>.size == 40 && MemoryLayout<ScopeRow>.stride == 40)
        #expect(MemoryLayout<EventRow>.size == 32 && MemoryLayout<EventRow>.stride == 32)
        #expect(MemoryLayout<ResourceRow>.size == 32 && MemoryLayout<ResourceRow>.stride == 32)
        #expect(MemoryLayout<AttributeRow>.size == 16 && MemoryLayout<AttributeRow>.stride == 16)
        #expect(MemoryLayout<ByteSlice>.size == 8 && MemoryLayout<ByteSlice>.stride == 8)
        #expect(MemoryLayout<SpanRow>.offset(of: \.kind) == 116)
        #expect(MemoryLayout<SpanRow>.offset(of: \.weight) == 120)
        #expect(MemoryLayout<LinkRow>.offset(of: \.flags) == 44)
        #expect(MemoryLayout<ScopeRow>.offset(of: \.schemaURL) == 32)
    }

    @Test func spanBatchPage() throws {
        let bytes = SpanBatchCodec.withPieces(of: batch) { $0.flatMap { [UInt8]($0) } }
        #expect(bytes.count == SpanBatchCodec.bodyBytes(of: batch))
        #expect(try dump("span-batch", on: "span-batch.md") == formatted(bytes), "\n\(formatted(bytes))")
        let read = try bytes.withUnsafeBytes { try SpanBatchCodec.decode($0, tenant: "default") }
        #expect(read.record(0) == batch.record(0))
    }

    @Test func walPage() throws {
        let fixture = StoreFixture { $0.random = { 1 } }
        fixture.clock.set(7)
        let meta = StoreMeta(storeID: Array(0..<16), created: 1)
        fixture.disk.set("META", to: meta.encoded())
        try fixture.open()
        fixture.commit([batch])
        let path = try #require(fixture.disk.paths.first { $0.hasSuffix(".wal") })
        #expect(path == "wal/00000000000000000001.wal")
        let bytes = try #require(fixture.disk.bytes(of: path))
        #expect(try dump("wal", on: "wal.md") == formatted(bytes), "\n\(formatted(bytes))")
    }

    @Test func manifestPage() throws {
        var manifest = Manifest(storeID: Array(0..<16))
        manifest.edition = 3
        manifest.clockHighWater = 7
        manifest.nextSegmentID = 2
        manifest.sealedSequence = 4
        manifest.stored = 12
        manifest.removed.expired = 2
        manifest.segments = [
            ManifestSegment(
                id: 1, firstSequence: 1, lastSequence: 4, spanCount: 10, byteCount: 900, latestArrival: 6, level: 0)
        ]
        let bytes = manifest.encoded()
        #expect(try dump("manifest", on: "manifest.md") == formatted(bytes), "\n\(formatted(bytes))")
        #expect(try Manifest.decode(bytes) == manifest)
    }

    @Test func newerFormatsAreRefusedByName() throws {
        var later = StoreMeta(storeID: Array(0..<16), created: 1).encoded()
        later[8] = 2
        let disk = SimulatedDisk()
        disk.set("META", to: fixed(later))
        let fixture = StoreFixture(disk: disk)
        #expect(throws: StoreOpenError.unknownFormat(path: "META", major: 2)) { try fixture.open() }
    }

    /// With the checksum of the first 60 bytes made right again.
    private func fixed(_ bytes: [UInt8]) -> [UInt8] {
        var crc = UInt32.max
        for byte in bytes[..<60] {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
        }
        return Array(bytes[..<60]) + withUnsafeBytes(of: (~crc).littleEndian) { Array($0) }
    }

    @Test func everyCutAndFlipOfABatchIsRefusedOrHarmless() {
        var spans = SpanGenerator(seed: 2)
        let bytes = SpanBatchCodec.withPieces(of: spans.batch(3)) { $0.flatMap { [UInt8]($0) } }
        for count in bytes.indices {
            #expect(throws: SpanBatchError.self) {
                try bytes[..<count].withUnsafeBytes { try SpanBatchCodec.decode($0, tenant: "t") }
            }
        }
        for offset in bytes.indices {
            for bit in 0..<8 {
                var flipped = bytes
                flipped[offset] ^= 1 << UInt8(bit)
                guard let batch = try? flipped.withUnsafeBytes({ try SpanBatchCodec.decode($0, tenant: "t") }) else {
                    continue
                }
                for index in batch.spans.indices { _ = batch.record(index) }
            }
        }
    }

    @Test func pinsPage() throws {
        let storeID = Array(0...15) as [UInt8]
        var pins = Pins()
        let trace = TraceID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10)
        pins.marks[Pins.Key(tenant: "default", traceID: trace)] = 1_000
        let bytes = pins.encoded(storeID: storeID)
        #expect(try dump("pins", on: "manifest.md") == formatted(bytes), "\n\(formatted(bytes))")
        #expect(try Pins.decode(bytes, storeID: storeID) == pins)
    }
}
