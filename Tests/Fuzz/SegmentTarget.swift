internal import Bytes
internal import SegmentStore
internal import Telemetry

/// Segment files whose checksums were made right again after the damage: readers must refuse or answer, never trap.
extension FuzzTarget {
    static let segment = FuzzTarget(
        name: "segment",
        seeds: { [1, 3, 40].map(SegmentSeed.bytes) },
        check: { input in
            let file = SegmentBytes(SegmentSeed.repaired(input))
            guard let reader = try? SegmentReader(file: file, name: "fuzz", checksColumns: false) else { return nil }
            var filter = SpanFilter()
            filter.operation = "GET"
            filter.minDuration = 1
            filter.tags = [SpanFilter.Tag("code", "200"), SpanFilter.Tag("service.name", nil)]
            _ = try? reader.extents(matching: filter, budget: QueryBudget())
            for block in 0..<min(reader.blockCount, 8) {
                guard let span = (try? reader.spans(inBlock: block))?.last else { continue }
                _ = try? reader.spans(of: span.traceID, tenant: "default", budget: QueryBudget())
            }
            return nil
        })
}

/// Bytes in memory as a file that only reads.
private final class SegmentBytes: DiskFile {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        guard count >= 0, offset <= UInt64(bytes.count), UInt64(count) <= UInt64(bytes.count) - offset else {
            throw DiskError(call: .read, path: "fuzz", code: DiskError.unexpectedEnd)
        }
        return Array(bytes[Int(offset)..<Int(offset) + count])
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {}
    func syncData() throws(DiskError) {}
    func preallocate(_ bytes: UInt64) throws(DiskError) {}
    func size() throws(DiskError) -> UInt64 { UInt64(bytes.count) }
    func close() {}
}

private enum SegmentSeed {
    /// A valid segment of so many spans, three a trace.
    static func bytes(_ spans: Int) -> [UInt8] {
        var records: [SpanRecord] = []
        for index in 0..<UInt64(spans) {
            var record = SpanRecord(
                traceID: TraceID(high: 1, low: index / 3 + 1), spanID: SpanID(index + 1),
                parentID: index % 3 == 0 ? nil : SpanID(index), name: index % 2 == 0 ? "GET" : "POST", kind: 2,
                start: 1_000 + index, end: 2_000 + index * 7)
            record.attributes = [
                Attribute("code", .int(200)), Attribute("user", .string("u\(index)")),
                Attribute("list", .array([.bool(true), .double(1.5)])),
            ]
            record.events = [SpanEvent(time: 1_500, name: "event", attributes: [Attribute("n", .int(Int64(index)))])]
            record.links = [SpanLink(traceID: record.traceID, spanID: record.spanID)]
            record.resource = Resource(
                attributes: [Attribute("service.name", .string("shop"))], serviceName: "shop")
            records.append(record)
        }
        var bytes: [UInt8] = []
        let batch = SpanBatch(origin: BatchOrigin(arrival: 5), records: records)
        do {
            _ = try SegmentEncoder(blockSpans: 16).encode([batch], identity: SegmentIdentity(id: 1)) {
                (piece: [UInt8]) throws(DiskError) in bytes += piece
            }
        } catch {
            return []
        }
        return bytes
    }

    /// The checksums of header, footer and trailer made right, so that damage gets past them.
    static func repaired(_ input: [UInt8]) -> [UInt8] {
        guard input.count >= 96 else { return input }
        var bytes = input
        let trailer = bytes.count - 32
        put(crc32c(Array(bytes[..<60])), at: 60, &bytes)
        let offset = (0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64(bytes[trailer + $1]) }
        if offset <= UInt64(trailer) {
            put(crc32c(Array(bytes[Int(offset)..<trailer])), at: trailer + 12, &bytes)
        }
        put(crc32c(Array(bytes[..<64])), at: trailer + 16, &bytes)
        put(crc32c(Array(bytes[trailer..<trailer + 20])), at: trailer + 20, &bytes)
        return bytes
    }

    private static func put(_ value: UInt32, at offset: Int, _ bytes: inout [UInt8]) {
        for index in 0..<4 { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt32(8 * index)) }
    }
}
