internal import Bytes
package import Telemetry

/// Why the body of a span record is refused.
package enum SpanBatchError: Error, Hashable, Sendable {
    /// The length is not what the counts say.
    case length(expected: Int, found: Int)
    /// A reserved field is set.
    case reserved
    /// A row points outside of its table.
    case defect(table: String, row: Int)
}

/// A batch as the body of a WAL record: a header and then the rows as they lie in memory.
///
///     | arrival u64 | counts 7 x u32 | arena bytes u32 | reserved u64 | spans | links | scopes | events | resources
///     | attributes | keys | arena |
///
/// Source: schemas/disk/span-batch.md, "Batch".
package enum SpanBatchCodec {
    package static let headerBytes = 48

    /// Bytes of the whole body.
    package static func bodyBytes(of batch: SpanBatch) -> Int { headerBytes + batch.byteCount }

    /// Calls `body` with the pieces of the encoded batch, borrowed for the call: nothing is copied.
    package static func withPieces<Result>(
        of batch: SpanBatch, _ body: ([UnsafeRawBufferPointer]) -> Result
    ) -> Result {
        header(of: batch).withUnsafeBytes { header in
            batch.spans.withUnsafeBytes { spans in
                batch.links.withUnsafeBytes { links in
                    batch.scopes.withUnsafeBytes { scopes in
                        batch.events.withUnsafeBytes { events in
                            batch.resources.withUnsafeBytes { resources in
                                batch.attributes.withUnsafeBytes { attributes in
                                    batch.keys.withUnsafeBytes { keys in
                                        batch.arena.withUnsafeBytes { arena in
                                            body([
                                                header, spans, links, scopes, events, resources, attributes, keys,
                                                arena,
                                            ])
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func header(of batch: SpanBatch) -> [UInt8] {
        var writer = ByteWriter(reserving: headerBytes)
        writer.write(batch.origin.arrival)
        let counts = [
            batch.spans.count, batch.attributes.count, batch.events.count, batch.links.count, batch.scopes.count,
            batch.resources.count, batch.keys.count, batch.arena.count,
        ]
        for count in counts { writer.write(UInt32(truncatingIfNeeded: count)) }
        writer.write(UInt64(0))
        return writer.bytes
    }

    /// Reads a body back; every row is checked, so that later reads cannot go out of bounds.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, tenant: String
    ) throws(SpanBatchError) -> SpanBatch {
        guard bytes.count >= headerBytes else { throw .length(expected: headerBytes, found: bytes.count) }
        func count(_ index: Int) -> Int { Int(bytes.loadUnaligned(fromByteOffset: 8 + 4 * index, as: UInt32.self)) }
        guard bytes.loadUnaligned(fromByteOffset: 40, as: UInt64.self) == 0 else { throw .reserved }
        let expected =
            headerBytes + count(0) * MemoryLayout<SpanRow>.stride + count(1) * MemoryLayout<AttributeRow>.stride
            + count(2) * MemoryLayout<EventRow>.stride + count(3) * MemoryLayout<LinkRow>.stride
            + count(4) * MemoryLayout<ScopeRow>.stride + count(5) * MemoryLayout<ResourceRow>.stride
            + count(6) * MemoryLayout<ByteSlice>.stride + count(7)
        guard expected == bytes.count else { throw .length(expected: expected, found: bytes.count) }
        var offset = headerBytes
        let arrival = bytes.loadUnaligned(as: UInt64.self)
        let spans = rows(SpanRow.self, count(0), bytes, &offset)
        let links = rows(LinkRow.self, count(3), bytes, &offset)
        let scopes = rows(ScopeRow.self, count(4), bytes, &offset)
        let events = rows(EventRow.self, count(2), bytes, &offset)
        let resources = rows(ResourceRow.self, count(5), bytes, &offset)
        let attributes = rows(AttributeRow.self, count(1), bytes, &offset)
        let keys = rows(ByteSlice.self, count(6), bytes, &offset)
        let arena = rows(UInt8.self, count(7), bytes, &offset)
        let batch = SpanBatch(
            origin: BatchOrigin(tenant: tenant, arrival: arrival), spans: spans, attributes: attributes,
            events: events, links: links, scopes: scopes, resources: resources, keys: keys, arena: arena)
        do { try batch.validate() } catch { throw .defect(table: error.table, row: error.row) }
        return batch
    }

    /// Copies `count` rows from `offset` on; the caller has checked that they are there.
    private static func rows<Row: BitwiseCopyable>(
        _ type: Row.Type, _ count: Int, _ bytes: UnsafeRawBufferPointer, _ offset: inout Int
    ) -> [Row] {
        let byteCount = count * MemoryLayout<Row>.stride
        let source = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + byteCount])
        offset += byteCount
        return [Row](unsafeUninitializedCapacity: count) { buffer, written in
            UnsafeMutableRawBufferPointer(buffer).copyMemory(from: source)
            written = count
        }
    }
}
