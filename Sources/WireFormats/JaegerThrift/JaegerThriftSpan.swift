internal import Telemetry

/// A Jaeger span as far as it has been read.
struct JaegerSpanDraft<Cursor: ThriftCursor> {
    var row: SpanRow
    /// Where the rows of this span begin, to take them back.
    let start: SpanRow
    var defect: SpanRejection?
    /// Microseconds.
    var startTime: Int64 = 0
    var duration: Int64 = 0
    /// Where the lists begin, to be read when the tags have been.
    var references: Cursor?
    var logs: Cursor?

    init(_ row: SpanRow) {
        self.row = row
        self.start = row
    }

    /// Counts one attribute, event or link that was dropped.
    mutating func drop(_ counter: WritableKeyPath<SpanRow, UInt32>) {
        row[keyPath: counter] &+= 1
        row.marks.insert(.truncated)
    }

    /// Checks the ids and works out the times.
    mutating func complete() {
        if row.traceHigh == 0 { row.marks.insert(.shortTraceID) }
        if row.parentID == row.spanID { row.parentID = 0 }
        if row.traceHigh | row.traceLow == 0 {
            defect = .zeroTraceID
        } else if row.spanID == 0 {
            defect = .zeroSpanID
        } else if !setTimes() {
            defect = .malformed
        }
    }

    /// A negative duration puts the end before the start, as it was sent; a start that is not positive is none.
    private mutating func setTimes() -> Bool {
        guard let length = zipkinNanoseconds(duration.magnitude) else { return false }
        if startTime > 0 {
            guard let start = zipkinNanoseconds(startTime.magnitude) else { return false }
            row.start = start
        } else {
            row.marks.insert(.noStart)
        }
        if duration < 0 {
            row.end = row.start > length ? row.start - length : 0
            return true
        }
        let (end, overflow) = row.start.addingReportingOverflow(length)
        row.end = end
        return !overflow
    }
}

/// The fields of one span.
///
/// The attributes of one owner must be neighbours in the batch, so tags are read first and logs in a second look.
extension JaegerThriftDecoder {
    mutating func decodeSpan(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        // Stands until the span says its own.
        draft.row.start = arrival
        try decodeFields(&cursor, into: &draft)
        if var list = draft.references { try decodeReferences(&list, into: &draft) }
        if var list = draft.logs { try decodeLogs(&list, into: &draft) }
        draft.complete()
    }

    private mutating func decodeFields(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .int64): draft.row.traceLow = try identifier(&cursor)
            case (2, .int64): draft.row.traceHigh = try identifier(&cursor)
            case (3, .int64): draft.row.spanID = try identifier(&cursor)
            case (4, .int64): draft.row.parentID = try identifier(&cursor)
            case (5, .binary):
                let name = try cursor.readBytes()
                draft.row.name = spans.string(
                    name, limit: Limits.nameBytes, marks: &draft.row.marks)
            case (6, .list):
                draft.references = cursor
                try cursor.skip(.list)
            case (7, .int32): setFlags(try cursor.readInt32(), of: &draft.row)
            case (8, .int64): draft.startTime = try cursor.readInt64()
            case (9, .int64): draft.duration = try cursor.readInt64()
            case (10, .list): try decodeTags(&cursor, into: &draft)
            case (11, .list):
                draft.logs = cursor
                try cursor.skip(.list)
            default: try cursor.skip(field)
            }
        }
    }

    private func identifier(_ cursor: inout Cursor) throws(WireError) -> UInt64 {
        UInt64(bitPattern: try cursor.readInt64())
    }

    /// Jaeger's debug bit is the random bit of W3C, so it becomes a mark.
    private func setFlags(_ flags: Int32, of row: inout SpanRow) {
        row.flags = UInt32(bitPattern: flags) & 0xfd
        if flags & 2 != 0 { row.marks.insert(.debug) }
    }

    // MARK: Tags

    private mutating func decodeTags(
        _ cursor: inout Cursor, into draft: inout JaegerSpanDraft<Cursor>
    ) throws(WireError) {
        let count = try beginStructs(&cursor)
        for _ in 0..<count {
            let tag = try JaegerTag(&cursor)
            if !take(tag, of: &draft.row) {
                if append(tag, count: draft.row.attributeCount, marks: &draft.row.marks) {
                    draft.row.attributeCount &+= 1
                } else {
                    draft.drop(\.droppedAttributes)
                }
            }
        }
    }

    /// Tags that say what a span row has a field for. `span.kind` is only that field; the others stay tags too.
    private mutating func take(_ tag: JaegerTag, of row: inout SpanRow) -> Bool {
        guard let first = tag.key.first else { return false }
        switch first {
        case UInt8(ascii: "s") where tag.isString && tag.key.elementsEqual("span.kind".utf8):
            guard let kind = Self.kind(tag.text) else { return false }
            row.kind = kind.rawValue
            return true
        case UInt8(ascii: "e") where tag.key.elementsEqual("error".utf8):
            let isError = tag.isBool ? tag.flag : tag.isString && tag.text.elementsEqual("true".utf8)
            if isError { row.status = SpanStatus.error.rawValue }
        case UInt8(ascii: "o") where tag.isString && tag.key.elementsEqual("otel.status_code".utf8):
            if tag.text.elementsEqual("ERROR".utf8) { row.status = SpanStatus.error.rawValue }
            if tag.text.elementsEqual("OK".utf8) { row.status = SpanStatus.ok.rawValue }
        case UInt8(ascii: "o") where tag.isString && tag.key.elementsEqual("otel.status_description".utf8):
            row.statusMessage = spans.string(
                tag.text, limit: Limits.nameBytes, marks: &row.marks)
        case UInt8(ascii: "w") where tag.isString && tag.key.elementsEqual("w3c.tracestate".utf8):
            row.traceState = spans.string(
                tag.text, limit: Limits.nameBytes, marks: &row.marks)
        default: break
        }
        return false
    }

    private static func kind(_ text: UnsafeRawBufferPointer) -> SpanKind? {
        SpanKind.allCases.first { $0 != .unspecified && text.elementsEqual($0.label.utf8) }
    }
}
