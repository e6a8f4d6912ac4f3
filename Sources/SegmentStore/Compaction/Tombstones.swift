internal import Bytes
package import Telemetry

/// Which traces were deleted, and up to which record: what came later under the same id is not meant.
///
/// A tombstone with sequence s hides the trace's spans of all records up to s. A segment keeps no sequence a span, so:
/// it is hidden in a segment whose last sequence is at most s. A head that is sealed later, with records on both sides
/// of s, leaves the hidden spans out; so does compaction. The rule is therefore exact for every segment.
/// Source: schemas/disk/manifest.md, "TOMBSTONES".
package struct Tombstones: Hashable, Sendable {
    package struct Key: Hashable, Sendable {
        package var tenant: String
        package var traceID: TraceID

        package init(tenant: String, traceID: TraceID) {
            self.tenant = tenant
            self.traceID = traceID
        }
    }

    package struct Mark: Hashable, Sendable {
        /// The last record that is meant.
        package var sequence: UInt64
        /// Wall time at which it was made, unix nanoseconds.
        package var created: UInt64
    }

    /// At most this many wait for compaction; more deletions are refused until some are done.
    package static let limit = 10_000
    package static let magic: UInt64 = 0x4C45_4454_5345_5243  // "CRESTDEL"
    package static let major: UInt16 = 1
    static let headerBytes = 48

    package var marks: [Key: Mark] = [:]

    package init() {}

    package var isEmpty: Bool { marks.isEmpty }

    /// Whether the trace's spans up to and including `sequence` are hidden.
    @inline(__always)
    func covers(_ traceID: TraceID, tenant: String, through sequence: UInt64) -> Bool {
        guard !marks.isEmpty else { return false }
        return self.sequence(of: traceID, tenant: tenant) >= sequence
    }

    /// The last hidden record of a trace; 0 when it was never deleted.
    func sequence(of traceID: TraceID, tenant: String) -> UInt64 {
        marks[Key(tenant: tenant, traceID: traceID)]?.sequence ?? 0
    }

    /// The same batches without the hidden spans, and how many those were.
    func remaining(_ batches: [SpanBatch], sequences: [UInt64]) -> (batches: [SpanBatch], omitted: Int) {
        guard !marks.isEmpty else { return (batches, 0) }
        var omitted = 0
        let kept = zip(batches, sequences).map { batch, sequence in
            let tenant = batch.origin.tenant
            let spans = batch.spans.filter { !covers($0.traceID, tenant: tenant, through: sequence) }
            guard spans.count < batch.spans.count else { return batch }
            omitted += batch.spans.count - spans.count
            return SpanBatch(
                origin: batch.origin, spans: spans, attributes: batch.attributes, events: batch.events,
                links: batch.links, scopes: batch.scopes, resources: batch.resources, keys: batch.keys,
                arena: batch.arena)
        }
        return (kept, omitted)
    }

    // MARK: The file

    package func encoded(storeID: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(reserving: Self.headerBytes + marks.count * 64)
        writer.write(Self.magic)
        writer.write(Self.major)
        writer.write(UInt16(0))
        writer.write(UInt32(0))
        writer.write(UInt32(0))
        writer.write(UInt32(truncatingIfNeeded: marks.count))
        writer.write(storeID)
        let rows = marks.sorted { ($0.value.sequence, $0.key.traceID) < ($1.value.sequence, $1.key.traceID) }
        for (key, mark) in rows {
            for field in [key.traceID.high, key.traceID.low, mark.sequence, mark.created] { writer.write(field) }
            writer.writeText(Array(key.tenant.utf8))
        }
        writer.write(crc32c(writer.bytes))
        return writer.bytes
    }

    /// Nil when the bytes are damaged, or of another store.
    package static func decode(_ bytes: [UInt8], storeID: [UInt8]) throws(UnknownFormat) -> Tombstones? {
        guard bytes.count >= headerBytes - 4 else { return nil }
        let body = Array(bytes[..<(bytes.count - 4)])
        var reader = ByteReader(bytes.span.bytes)
        var result = Tombstones()
        var unknown: UnknownFormat?
        do {
            guard try reader.read(UInt64.self) == magic else { return nil }
            let version = try reader.read(UInt16.self)
            _ = try reader.read(UInt16.self)
            _ = try reader.read(UInt32.self)
            let incompatible = try reader.read(UInt32.self)
            let count = try reader.readCount32(limit: bytes.count)
            guard try reader.readBytes(16) == storeID else { return nil }
            if version != major || incompatible != 0 {
                unknown = UnknownFormat(major: version, incompatible: incompatible)
            } else {
                for _ in 0..<count { try result.readRow(&reader) }
                guard reader.remaining == 4, try reader.read(UInt32.self) == crc32c(body) else { return nil }
            }
        } catch {
            return nil
        }
        if let unknown { throw unknown }
        return result
    }

    private mutating func readRow(_ reader: inout ByteReader) throws(ByteReadError) {
        let high = try reader.read(UInt64.self)
        let low = try reader.read(UInt64.self)
        let mark = Mark(sequence: try reader.read(UInt64.self), created: try reader.read(UInt64.self))
        let tenant = String(decoding: try reader.readText(), as: UTF8.self)
        marks[Key(tenant: tenant, traceID: TraceID(high: high, low: low))] = mark
    }
}

extension ByteReader {
    /// A u32 that counts things of which at most `limit` can be there.
    @_lifetime(self: copy self)
    fileprivate mutating func readCount32(limit: Int) throws(ByteReadError) -> Int {
        Int(clamping: min(try read(UInt32.self), UInt32(clamping: limit)))
    }
}
