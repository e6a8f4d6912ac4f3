internal import Bytes

/// One column of a block, as the directory lists it.
struct ColumnEntry: Hashable, Sendable {
    var id: UInt8
    /// For attribute values: index into the segment's keys, and the attribute type.
    var key: UInt32 = 0
    var type: UInt8 = 0
    /// Offset in the file; not stored, columns lie without gaps.
    var offset: UInt64 = 0
    var byteCount: UInt32
    var checksum: UInt32
}

/// What the directory says about a block: sizes, bounds for skipping it, and its columns.
///
/// Source: schemas/disk/segment.md, "Footer".
struct BlockEntry: Hashable, Sendable {
    var tenant = 0
    var spans = 0
    var traces = 0
    var events = 0
    var links = 0
    var scopes = 0
    var resources = 0
    var firstHigh: UInt64 = 0
    var firstLow: UInt64 = 0
    var lastHigh: UInt64 = 0
    var lastLow: UInt64 = 0
    var earliestStart: UInt64 = .max
    var latestStart: UInt64 = 0
    var longestDuration: UInt64 = 0
    var earliestArrival: UInt64 = .max
    var latestArrival: UInt64 = 0
    var hasError = false
    var columns: [ColumnEntry] = []

    /// Bytes of all columns.
    var byteCount: UInt64 { columns.reduce(0) { $0 &+ UInt64($1.byteCount) } }

    func write(to writer: inout ByteWriter) {
        for count in [tenant, spans, traces, events, links, scopes, resources] { writer.writeVarint(UInt64(count)) }
        for word in [
            firstHigh, firstLow, lastHigh, lastLow, earliestStart, latestStart, longestDuration, earliestArrival,
            latestArrival,
        ] { writer.write(word) }
        writer.write(UInt8(hasError ? 1 : 0))
        writer.writeVarint(UInt64(columns.count))
        for column in columns {
            writer.write(column.id)
            if ColumnID.valueOwner(column.id) != nil {
                writer.writeVarint(UInt64(column.key))
                writer.write(column.type)
            }
            writer.writeVarint(UInt64(column.byteCount))
            writer.write(column.checksum)
        }
    }

    init() {}

    /// Reads an entry whose first column lies at `offset`.
    init(
        _ reader: inout ByteReader, offset: UInt64, tenants: Int, keys: Int
    ) throws(ByteReadError) {
        let rows = SegmentFormat.blockRows
        tenant = try reader.readCount(limit: max(0, tenants - 1))
        spans = try reader.readCount(limit: rows)
        traces = try reader.readCount(limit: spans)
        events = try reader.readCount(limit: rows)
        links = try reader.readCount(limit: rows)
        scopes = try reader.readCount(limit: rows)
        resources = try reader.readCount(limit: rows)
        firstHigh = try reader.read(UInt64.self)
        firstLow = try reader.read(UInt64.self)
        lastHigh = try reader.read(UInt64.self)
        lastLow = try reader.read(UInt64.self)
        earliestStart = try reader.read(UInt64.self)
        latestStart = try reader.read(UInt64.self)
        longestDuration = try reader.read(UInt64.self)
        earliestArrival = try reader.read(UInt64.self)
        latestArrival = try reader.read(UInt64.self)
        hasError = try reader.read(UInt8.self) & 1 != 0
        // A column entry has at least six bytes.
        let count = try reader.readCount(limit: reader.remaining / 6)
        columns.reserveCapacity(count)
        var next = offset
        for _ in 0..<count {
            var column = ColumnEntry(id: try reader.read(UInt8.self), byteCount: 0, checksum: 0)
            if ColumnID.valueOwner(column.id) != nil {
                column.key = UInt32(try reader.readCount(limit: max(0, keys - 1)))
                column.type = try reader.read(UInt8.self)
            }
            column.byteCount = UInt32(try reader.readCount(limit: SegmentFormat.frameBytes * 2))
            column.checksum = try reader.read(UInt32.self)
            column.offset = next
            next += UInt64(column.byteCount)
            columns.append(column)
        }
    }
}
