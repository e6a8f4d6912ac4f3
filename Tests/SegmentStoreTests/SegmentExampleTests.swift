import Glibc
import SegmentStore
import Telemetry
import Testing

/// The worked example of schemas/disk/segment.md is what the code reads and writes.
struct SegmentExampleTests {
    static var record: SpanRecord {
        SpanRecord(
            traceID: TraceID(high: 0x0102_0304_0506_0708, low: 0x090a_0b0c_0d0e_0f10), spanID: SpanID(0x1112_1314),
            name: "GET /", kind: 2, start: 1_000, end: 1_250, attributes: [Attribute("code", .int(200))],
            resource: Resource(attributes: [Attribute("service.name", .string("shop"))], serviceName: "shop"),
            arrival: 2_000)
    }

    static var batch: SpanBatch { SpanBatch(origin: BatchOrigin(arrival: 2_000), records: [record]) }

    static let identity = SegmentIdentity(
        id: 7, firstSequence: 1, lastSequence: 3, storeID: Array(0xa0..<0xb0))

    /// The bytes of the dump: what stands between a line's colon and its semicolon, in the page's last section.
    static func dump() throws -> [UInt8] {
        let folder = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let text = try #require(readFile("/\(folder)/schemas/disk/segment.md"))
        let section = try #require(text.range(of: "## Worked example").map { text[$0.upperBound...] })
        var bytes: [UInt8] = []
        for line in section.split(separator: "\n") where line.hasPrefix("    0x") {
            let afterColon = line.drop { $0 != ":" }.dropFirst()
            for pair in afterColon.prefix(while: { $0 != ";" }).split(separator: " ") {
                bytes.append(try #require(UInt8(pair, radix: 16)))
            }
        }
        return bytes
    }

    private static func readFile(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    @Test func theDumpIsASegmentWithTheSpan() throws {
        let reader = try openSegment(try Self.dump())
        try reader.verify()
        #expect(reader.identity == Self.identity)
        #expect(try allRecords(reader).map(\.span) == [Self.record])
    }

    /// Up to the footer, whose zstd frames may differ from one version of the library to the next.
    @Test func theEncoderWritesTheDump() throws {
        let dump = try Self.dump()
        let footer = SegmentSalvageTests.footer(of: dump).lowerBound
        let bytes = segmentBytes([Self.batch], identity: Self.identity).bytes
        #expect(SegmentSalvageTests.footer(of: bytes).lowerBound == footer)
        #expect(Array(bytes.prefix(footer)) == Array(dump.prefix(footer)))
    }
}

extension String {
    /// The first occurrence of a piece of text.
    fileprivate func range(of piece: String) -> Range<String.Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(piece) { return start..<index(start, offsetBy: piece.count) }
            start = index(after: start)
        }
        return nil
    }
}
