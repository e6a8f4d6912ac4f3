internal import Telemetry

/// Batch and process: the levels above a span, in either protocol.
struct JaegerThriftDecoder<Cursor: ThriftCursor>: ~Copyable {
    var spans: SpanAssembler
    private var report = JaegerClientReport(client: "")
    private var hasReport = false

    /// The start of a span that tells none.
    let arrival: UInt64

    init(bodyBytes: Int, _ origin: BatchOrigin) {
        spans = SpanAssembler(bodyBytes: bodyBytes, form: .jaeger)
        arrival = origin.arrival
    }

    /// Reads a `Batch`. The spans need their process: those that stand before it are read when it has come.
    mutating func decodeBatch(_ cursor: inout Cursor) throws(WireError) {
        var hasProcess = false
        var waiting: [Cursor] = []
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .structure):
                do { try decodeProcess(&cursor) } catch { throw error.within("process") }
                hasProcess = true
            case (2, .list):
                if hasProcess {
                    try decodeSpans(&cursor)
                } else {
                    waiting.append(cursor)
                    try cursor.skip(.list)
                }
            case (3, .int64):
                report.sequence = try cursor.readInt64()
                hasReport = true
            case (4, .structure):
                report.drops = try decodeDrops(&cursor)
                hasReport = true
            default: try cursor.skip(field)
            }
        }
        if !hasProcess {
            spans.beginResource(ResourceRow())
            spans.beginScope(ScopeRow())
        }
        for var list in waiting { try decodeSpans(&list) }
    }

    private mutating func decodeSpans(_ cursor: inout Cursor) throws(WireError) {
        let start = cursor.offset
        let list = try cursor.readList()
        guard list.element == .structure || list.count == 0 else { throw WireError(.thriftList, at: start) }
        for index in 0..<list.count {
            spans.place.span = index
            let first = cursor
            var draft = JaegerSpanDraft<Cursor>(spans.newSpan())
            do throws(WireError) {
                try decodeSpan(&cursor, into: &draft)
                if cursor.offset - first.offset > Limits.spanBytes { draft.defect = .spanTooLarge }
            } catch {
                // Throws again when the structs themselves are broken; else only this span is bad.
                cursor = first
                do throws(WireError) { try cursor.skip(.structure) } catch { throw error.within("spans[\(index)]") }
                let text = error.within("spans[\(index)]").description
                spans.reject(.malformed, from: draft.start, message: text)
                continue
            }
            if let defect = draft.defect { spans.reject(defect, from: draft.start) } else { spans.add(draft.row) }
        }
    }

    /// Reads a `Process` in two looks: its name becomes the first attribute, wherever it stands.
    private mutating func decodeProcess(_ cursor: inout Cursor) throws(WireError) {
        let start = cursor
        var row = ResourceRow()
        row.firstAttribute = spans.attributeIndex
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            guard field.id == 1, field.type == .binary else {
                try cursor.skip(field)
                continue
            }
            let name = try cursor.readBytes()
            guard row.attributeCount == 0, name.count > 0 else { continue }
            let slice = spans.string(name)
            let key = spans.builder.key("service.name")
            spans.builder.attributes.append(AttributeRow(key: key, type: .string, slice: slice))
            row.attributeCount = 1
        }
        var again = start
        last = 0
        while let field = try again.readField(after: &last) {
            guard field.id == 2, field.type == .list else {
                try again.skip(field)
                continue
            }
            try decodeProcessTags(&again, into: &row)
        }
        spans.beginResource(row)
        spans.beginScope(ScopeRow())
    }

    private mutating func decodeProcessTags(_ cursor: inout Cursor, into row: inout ResourceRow) throws(WireError) {
        let count = try beginStructs(&cursor)
        for _ in 0..<count {
            let tag = try JaegerTag(&cursor)
            var marks = SpanMarks()
            if tag.isString, tag.key.elementsEqual("client-uuid".utf8) {
                report.client = String(decoding: utf8Prefix(tag.text, Limits.clientNameBytes), as: UTF8.self)
            }
            if append(tag, count: row.attributeCount, marks: &marks) {
                row.attributeCount &+= 1
            } else {
                row.droppedAttributes &+= 1
            }
        }
    }

    private func decodeDrops(_ cursor: inout Cursor) throws(WireError) -> JaegerClientDrops {
        var drops = JaegerClientDrops()
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .int64): drops.fullQueue = try cursor.readInt64()
            case (2, .int64): drops.tooLarge = try cursor.readInt64()
            case (3, .int64): drops.failedToEmit = try cursor.readInt64()
            default: try cursor.skip(field)
            }
        }
        return drops
    }

    consuming func finish(_ origin: BatchOrigin) -> JaegerBatch {
        let report = hasReport ? report : nil
        return JaegerBatch(spans: spans.finish(origin), report: report)
    }

    /// Reads the header of a list of structs and returns their number.
    func beginStructs(_ cursor: inout Cursor) throws(WireError) -> Int {
        let start = cursor.offset
        let list = try cursor.readList()
        guard list.element == .structure || list.count == 0 else { throw WireError(.thriftList, at: start) }
        return list.count
    }
}
