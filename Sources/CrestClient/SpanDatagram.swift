/// One Crest datagram with spans, or, without any, a report of the counts.
///
///     | "CRST" | version | flags | signal | 0 | source | epoch | sequence | produced | dropped | time |
///     | items u32 | plainBytes u32 | crc32c u32 | OTLP request ... |
///
/// Little-endian; not compressed; under a key 16 bytes of tag follow. Source: schemas/wire/crest-datagram.md, "Layout".
struct SpanDatagram {
    static let headBytes = 68
    /// What UDP over IPv4 can carry.
    static let largestBytes = 65_507

    var source: UInt64
    var epoch: UInt64
    var sequence: UInt64
    /// Items sent, these included, and dropped.
    var produced: UInt64
    var dropped: UInt64
    var time: UInt64

    /// - Parameter tag: authenticates the datagram.
    func encoded(_ payload: SpanPayload?, tag: MessageTag? = nil) -> [UInt8] {
        let body = payload?.bytes ?? []
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + body.count + MessageTag.bytes)
        bytes += [0x43, 0x52, 0x53, 0x54, 1, tag == nil ? 0 : 2, payload == nil ? 0 : 1, 0]
        for word in [source, epoch, sequence, produced, dropped, time] {
            withUnsafeBytes(of: word.littleEndian) { bytes.append(contentsOf: $0) }
        }
        for word in [payload?.spanCount ?? 0, body.count] {
            withUnsafeBytes(of: UInt32(clamping: word).littleEndian) { bytes.append(contentsOf: $0) }
        }
        var crc = CRC32C()
        crc.update(bytes)
        crc.update(body)
        withUnsafeBytes(of: crc.value.littleEndian) { bytes.append(contentsOf: $0) }
        bytes += body
        if let tag { bytes += tag.tag(bytes) }
        return bytes
    }
}

/// An OTLP request that fits a datagram.
package struct SpanPayload: Sendable {
    package var bytes: [UInt8]
    package var spanCount: Int
}

extension SpanQueue.Batch {
    /// The batch in pieces of at most `limit` bytes; a span that alone is longer has a piece of its own.
    package func payloads(limit: Int) -> [SpanPayload] {
        var payloads: [SpanPayload] = []
        var writer = ProtobufWriter(reserving: limit)
        var count = 0
        for part in parts {
            // Both length headers of a `ResourceSpans` and of its `ScopeSpans`, at their longest.
            let overhead = part.header.resource.count + part.header.scope.count + 12
            var start = 0
            var end = 0
            while end < part.spans.count {
                let next = Self.end(ofSpanAt: end, in: part.spans)
                if writer.bytes.count + overhead + next - start > limit, count > 0 {
                    Self.write(part.header, part.spans[start..<end], to: &writer)
                    payloads.append(SpanPayload(bytes: writer.bytes, spanCount: count))
                    writer.removeAll()
                    (start, count) = (end, 0)
                }
                (end, count) = (next, count + 1)
            }
            Self.write(part.header, part.spans[start..<end], to: &writer)
        }
        if count > 0 { payloads.append(SpanPayload(bytes: writer.bytes, spanCount: count)) }
        return payloads
    }

    private static func write(
        _ header: OTLPEncoder.Header, _ spans: ArraySlice<UInt8>, to writer: inout ProtobufWriter
    ) {
        if !spans.isEmpty { OTLPEncoder.writeResourceSpans(header, spans: Array(spans), to: &writer) }
    }

    /// Of a framed span as the queue wrote it: one byte of tag, the length as a varint, the span.
    private static func end(ofSpanAt start: Int, in spans: [UInt8]) -> Int {
        var (offset, length, shift) = (start + 1, 0, 0)
        while offset < spans.count {
            let byte = Int(spans[offset])
            offset += 1
            length |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80 { break }
        }
        return min(offset + length, spans.count)
    }
}
