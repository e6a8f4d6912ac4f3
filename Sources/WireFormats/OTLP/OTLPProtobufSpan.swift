internal import Telemetry

/// `Span`, `Span.Event`, `Span.Link` and `Status`.
///
/// The attributes of one owner must be neighbours in the batch, while the fields of a message may come in any order.
/// So a span's own fields are read first, and its events and links in a second look, which most spans do not need.
extension OTLPProtobufDecoder {
    mutating func decodeSpan(_ message: ProtobufCursor) throws(WireError) {
        var draft = OTLPSpanDraft(spans.newSpan())
        guard message.end - message.offset <= Limits.spanBytes else {
            return spans.reject(.spanTooLarge, from: draft.start)
        }
        try decodeFields(message, into: &draft)
        if draft.hasParts { try decodeParts(message, into: &draft) }
        if let defect = draft.defect { return spans.reject(defect, from: draft.start) }
        spans.add(draft.row)
    }

    private mutating func decodeFields(
        _ message: ProtobufCursor, into draft: inout OTLPSpanDraft
    ) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let id = try cursor.readBytes()
                draft.traceIDBytes = id.count
                (draft.row.traceHigh, draft.row.traceLow) = traceID(id)
            case bytesTag(2):
                let id = try cursor.readBytes()
                draft.spanIDBytes = id.count
                draft.row.spanID = spanID(id)
            case bytesTag(3): draft.row.traceState = try string(&cursor, &draft.row.marks)
            case bytesTag(4):
                let id = try cursor.readBytes()
                draft.parentIDBytes = id.count
                draft.row.parentID = spanID(id)
            case bytesTag(5): draft.row.name = try string(&cursor, &draft.row.marks)
            case varintTag(6): draft.row.kind = UInt8(exactly: try cursor.readVarint()) ?? 0
            case fixed64Tag(7): draft.row.start = try cursor.readFixed64()
            case fixed64Tag(8): draft.row.end = try cursor.readFixed64()
            case bytesTag(9):
                if try decodeKeyValue(&cursor, count: draft.row.attributeCount, marks: &draft.row.marks) {
                    draft.row.attributeCount &+= 1
                } else {
                    draft.drop(\.droppedAttributes)
                }
            case varintTag(10): draft.row.droppedAttributes &+= try count(&cursor)
            case bytesTag(11), bytesTag(13):
                try cursor.pass(tag)
                draft.hasParts = true
            case varintTag(12): draft.row.droppedEvents &+= try count(&cursor)
            case varintTag(14): draft.row.droppedLinks &+= try count(&cursor)
            case bytesTag(15): try decodeStatus(try cursor.readMessage(), into: &draft.row)
            case fixed32Tag(16): draft.row.flags = try cursor.readFixed32()
            default: try cursor.skip(tag, known: 0x1fffe)
            }
        }
    }

    @inline(__always)
    private mutating func string(
        _ cursor: inout ProtobufCursor, _ marks: inout SpanMarks
    ) throws(WireError) -> ByteSlice {
        let bytes = try cursor.readBytes()
        return spans.string(bytes, limit: Limits.nameBytes, marks: &marks)
    }

    @inline(__always)
    private func count(_ cursor: inout ProtobufCursor) throws(WireError) -> UInt32 {
        UInt32(truncatingIfNeeded: try cursor.readVarint())
    }

    private mutating func decodeStatus(_ message: ProtobufCursor, into row: inout SpanRow) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(2): row.statusMessage = try string(&cursor, &row.marks)
            case varintTag(3): row.status = UInt8(exactly: try cursor.readVarint()) ?? 0
            default: try cursor.skip(tag, known: 0b1100)
            }
        }
    }

    // MARK: Events and links

    private mutating func decodeParts(
        _ message: ProtobufCursor, into draft: inout OTLPSpanDraft
    ) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(11):
                let event = try cursor.readMessage()
                if event.isAtEnd || draft.row.eventCount >= Limits.eventsPerSpan {
                    draft.drop(\.droppedEvents)
                } else {
                    try decodeEvent(event, into: &draft)
                }
            case bytesTag(13):
                let link = try cursor.readMessage()
                if draft.row.linkCount >= Limits.linksPerSpan {
                    draft.drop(\.droppedLinks)
                } else {
                    try decodeLink(link, into: &draft)
                }
            default: try cursor.pass(tag)
            }
        }
    }

    private mutating func decodeEvent(
        _ message: ProtobufCursor, into draft: inout OTLPSpanDraft
    ) throws(WireError) {
        var cursor = message
        var event = EventRow()
        event.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(1): event.time = try cursor.readFixed64()
            case bytesTag(2): event.name = try string(&cursor, &draft.row.marks)
            case bytesTag(3):
                if try decodeKeyValue(&cursor, count: event.attributeCount, marks: &draft.row.marks) {
                    event.attributeCount &+= 1
                } else {
                    event.droppedAttributes &+= 1
                    draft.row.marks.insert(.truncated)
                }
            case varintTag(4): event.droppedAttributes &+= try count(&cursor)
            default: try cursor.skip(tag, known: 0b11110)
            }
        }
        spans.builder.events.append(event)
        draft.row.eventCount &+= 1
    }

    private mutating func decodeLink(
        _ message: ProtobufCursor, into draft: inout OTLPSpanDraft
    ) throws(WireError) {
        var cursor = message
        var link = LinkRow()
        link.firstAttribute = spans.attributeIndex
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): (link.traceHigh, link.traceLow) = traceID(try cursor.readBytes())
            case bytesTag(2): link.spanID = spanID(try cursor.readBytes())
            case bytesTag(3): link.traceState = try string(&cursor, &draft.row.marks)
            case bytesTag(4):
                if try decodeKeyValue(&cursor, count: link.attributeCount, marks: &draft.row.marks) {
                    link.attributeCount &+= 1
                } else {
                    link.droppedAttributes &+= 1
                    draft.row.marks.insert(.truncated)
                }
            case varintTag(5): link.droppedAttributes &+= try count(&cursor)
            case fixed32Tag(6): link.flags = try cursor.readFixed32()
            default: try cursor.skip(tag, known: 0b1111110)
            }
        }
        spans.add(link, to: &draft)
    }
}

/// The big-endian halves of a 16-byte id; zeros for any other length.
@inline(__always)
func traceID(_ bytes: UnsafeRawBufferPointer) -> (high: UInt64, low: UInt64) {
    guard bytes.count == 16 else { return (0, 0) }
    return (
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
        UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    )
}

/// A big-endian 8-byte id; zero for any other length.
@inline(__always)
func spanID(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    guard bytes.count == 8 else { return 0 }
    return UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self))
}
