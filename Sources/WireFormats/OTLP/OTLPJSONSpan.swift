internal import Bytes
internal import Telemetry

/// Spans, events, links and status.
extension OTLPJSONDecoder {
    mutating func decodeSpan() throws(WireError) {
        var draft = OTLPSpanDraft(spans.newSpan())
        let start = try json.peek() == UInt8(ascii: "{") ? json.offset : 0
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            try decodeField(key, into: &draft)
        }
        if json.offset - start > Limits.spanBytes { return spans.reject(.spanTooLarge, from: draft.start) }
        if let defect = draft.defect { return spans.reject(defect, from: draft.start) }
        spans.add(draft.row)
    }

    private mutating func decodeField(_ key: JSONString, into draft: inout OTLPSpanDraft) throws(WireError) {
        switch key {
        case "traceId":
            let id = try identifier()
            (draft.row.traceHigh, draft.row.traceLow) = (id.high, id.low)
            draft.traceIDBytes = id.bytes
        case "spanId":
            let id = try identifier()
            draft.row.spanID = id.low
            draft.spanIDBytes = id.bytes
        case "parentSpanId":
            let id = try identifier()
            draft.row.parentID = id.low
            draft.parentIDBytes = id.bytes
        case "traceState": draft.row.traceState = try string(&draft.row.marks)
        case "name": draft.row.name = try string(&draft.row.marks)
        case "kind": draft.row.kind = UInt8(exactly: try json.readUInt64()) ?? 0
        case "startTimeUnixNano": draft.row.start = try json.readUInt64()
        case "endTimeUnixNano": draft.row.end = try json.readUInt64()
        case "flags": draft.row.flags = try count()
        case "attributes":
            let list = try attributes(marks: &draft.row.marks)
            (draft.row.firstAttribute, draft.row.attributeCount) = (list.first, list.count)
            draft.row.droppedAttributes &+= list.dropped
        case "droppedAttributesCount": draft.row.droppedAttributes &+= try count()
        case "events": try decodeEvents(into: &draft)
        case "droppedEventsCount": draft.row.droppedEvents &+= try count()
        case "links": try decodeLinks(into: &draft)
        case "droppedLinksCount": draft.row.droppedLinks &+= try count()
        case "status": try decodeStatus(into: &draft.row)
        default: try json.skipValue()
        }
    }

    /// An id in hexadecimal digits. `bytes` is its length as received, 1 for an odd number of digits: never right.
    private mutating func identifier() throws(WireError) -> (high: UInt64, low: UInt64, bytes: Int) {
        let string = try json.readString()
        var (high, low) = (UInt64(0), UInt64(0))
        var isHex = true
        let count = string.withPlain { digits in
            for digit in digits {
                guard let value = hexValue(digit) else {
                    isHex = false
                    break
                }
                high = high << 4 | low >> 60
                low = low << 4 | UInt64(value)
            }
            return digits.count
        }
        guard isHex else { throw WireError(.identifier, at: string.offset) }
        return (high, low, count % 2 == 0 ? count / 2 : 1)
    }

    private mutating func string(_ marks: inout SpanMarks) throws(WireError) -> ByteSlice {
        spans.text(try json.readString(), limit: Limits.nameBytes, marks: &marks)
    }

    private mutating func decodeStatus(into row: inout SpanRow) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "message": row.statusMessage = try string(&row.marks)
            case "code": row.status = UInt8(exactly: try json.readUInt64()) ?? 0
            default: try json.skipValue()
            }
        }
    }

    private mutating func decodeEvents(into draft: inout OTLPSpanDraft) throws(WireError) {
        draft.row.firstEvent = UInt32(truncatingIfNeeded: spans.builder.events.count)
        draft.row.eventCount = 0
        try json.beginArray()
        while try json.nextElement() {
            guard draft.row.eventCount < Limits.eventsPerSpan else {
                try json.skipValue()
                draft.drop(\.droppedEvents)
                continue
            }
            var event = EventRow()
            var isEmpty = true
            try json.beginObject()
            while let key = try json.nextKey() {
                isEmpty = false
                if try json.readNull() { continue }
                switch key {
                case "timeUnixNano": event.time = try json.readUInt64()
                case "name": event.name = try string(&draft.row.marks)
                case "attributes":
                    let list = try attributes(marks: &draft.row.marks)
                    (event.firstAttribute, event.attributeCount) = (list.first, list.count)
                    event.droppedAttributes &+= list.dropped
                case "droppedAttributesCount": event.droppedAttributes &+= try count()
                default: try json.skipValue()
                }
            }
            if isEmpty {
                draft.drop(\.droppedEvents)
            } else {
                spans.builder.events.append(event)
                draft.row.eventCount &+= 1
            }
        }
    }

    private mutating func decodeLinks(into draft: inout OTLPSpanDraft) throws(WireError) {
        draft.row.firstLink = UInt32(truncatingIfNeeded: spans.builder.links.count)
        draft.row.linkCount = 0
        try json.beginArray()
        while try json.nextElement() {
            if draft.row.linkCount >= Limits.linksPerSpan {
                try json.skipValue()
                draft.drop(\.droppedLinks)
            } else {
                try decodeLink(into: &draft)
            }
        }
    }

    private mutating func decodeLink(into draft: inout OTLPSpanDraft) throws(WireError) {
        var link = LinkRow()
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "traceId":
                let id = try identifier()
                (link.traceHigh, link.traceLow) = id.bytes == 16 ? (id.high, id.low) : (0, 0)
            case "spanId":
                let id = try identifier()
                link.spanID = id.bytes == 8 ? id.low : 0
            case "traceState": link.traceState = try string(&draft.row.marks)
            case "flags": link.flags = try count()
            case "attributes":
                let list = try attributes(marks: &draft.row.marks)
                (link.firstAttribute, link.attributeCount) = (list.first, list.count)
                link.droppedAttributes &+= list.dropped
            case "droppedAttributesCount": link.droppedAttributes &+= try count()
            default: try json.skipValue()
            }
        }
        spans.add(link, to: &draft)
    }
}
