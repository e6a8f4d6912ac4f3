internal import Telemetry

/// References and logs: what becomes of them when the span's own fields are known.
extension JaegerThriftDecoder {
    /// A `SpanRef`.
    private struct Reference {
        var isChild = true
        var traceHigh: UInt64 = 0
        var traceLow: UInt64 = 0
        var spanID: UInt64 = 0

        init(_ cursor: inout Cursor) throws(WireError) {
            var last: Int16 = 0
            while let field = try cursor.readField(after: &last) {
                switch (field.id, field.type) {
                case (1, .int32): isChild = try cursor.readInt32() == 0
                case (2, .int64): traceLow = UInt64(bitPattern: try cursor.readInt64())
                case (3, .int64): traceHigh = UInt64(bitPattern: try cursor.readInt64())
                case (4, .int64): spanID = UInt64(bitPattern: try cursor.readInt64())
                default: try cursor.skip(field)
                }
            }
        }

        func isInTrace(of row: SpanRow) -> Bool { traceHigh == row.traceHigh && traceLow == row.traceLow }
    }

    /// The parent that the span does not name is its first CHILD_OF in the trace; all others become links. A CHILD_OF
    /// of the parent says nothing new.
    mutating func decodeReferences(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        let count = try beginStructs(&cursor)
        for _ in 0..<count {
            let reference = try Reference(&cursor)
            if reference.isChild, reference.isInTrace(of: draft.row) {
                if draft.row.parentID == 0 { draft.row.parentID = reference.spanID }
                if reference.spanID == draft.row.parentID { continue }
            }
            let hasIDs = reference.traceHigh | reference.traceLow != 0 && reference.spanID != 0
            if hasIDs, draft.row.linkCount < Limits.linksPerSpan {
                addLink(reference)
                draft.row.linkCount &+= 1
            } else {
                draft.drop(\.droppedLinks)
            }
        }
    }

    private mutating func addLink(_ reference: Reference) {
        var link = LinkRow()
        (link.traceHigh, link.traceLow) = (reference.traceHigh, reference.traceLow)
        link.spanID = reference.spanID
        link.firstAttribute = spans.attributeIndex
        link.attributeCount = 1
        let key = spans.builder.key("opentracing.ref_type")
        let value = spans.builder.append(reference.isChild ? "child_of" : "follows_from")
        spans.builder.attributes.append(AttributeRow(key: key, type: .string, slice: value))
        spans.builder.links.append(link)
    }

    mutating func decodeLogs(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        let count = try beginStructs(&cursor)
        for _ in 0..<count {
            if draft.row.eventCount < Limits.eventsPerSpan {
                try decodeLog(&cursor, into: &draft)
            } else {
                draft.drop(\.droppedEvents)
                try cursor.skip(.structure)
            }
        }
    }

    private mutating func decodeLog(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        var event = EventRow()
        event.firstAttribute = spans.attributeIndex
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .int64):
                let time = try cursor.readInt64()
                event.time = time > 0 ? zipkinNanoseconds(time.magnitude) ?? 0 : 0
            case (2, .list): try decodeLogFields(&cursor, of: &event, &draft.row.marks)
            default: try cursor.skip(field)
            }
        }
        spans.builder.events.append(event)
        draft.row.eventCount &+= 1
    }

    /// The first text called `event` is the name.
    private mutating func decodeLogFields(
        _ cursor: inout Cursor, of event: inout EventRow, _ marks: inout SpanMarks
    ) throws(WireError) {
        let count = try beginStructs(&cursor)
        for _ in 0..<count {
            let tag = try JaegerTag(&cursor)
            if event.name.count == 0, tag.isString, tag.text.count > 0, tag.key.elementsEqual("event".utf8) {
                event.name = spans.string(tag.text, limit: Limits.nameBytes, marks: &marks)
            } else if append(tag, count: event.attributeCount, marks: &marks) {
                event.attributeCount &+= 1
            } else {
                event.droppedAttributes &+= 1
                marks.insert(.truncated)
            }
        }
    }
}
