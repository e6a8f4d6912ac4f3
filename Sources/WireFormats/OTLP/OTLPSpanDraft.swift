internal import Telemetry

/// A span as far as it has been read.
///
/// Shared by the protobuf and the JSON decoder, so that both refuse the same spans.
struct OTLPSpanDraft {
    var row: SpanRow
    /// Where the rows of this span begin, to take them back.
    let start: SpanRow
    /// Bytes of the ids as received; anything but 16, 8 and 0 or 8 is a defect.
    var traceIDBytes = 0
    var spanIDBytes = 0
    var parentIDBytes = 0
    /// Whether there are events or links to read in a second look.
    var hasParts = false

    init(_ row: SpanRow) {
        self.row = row
        self.start = row
    }

    var defect: SpanRejection? {
        guard traceIDBytes == 16, spanIDBytes == 8, parentIDBytes == 8 || parentIDBytes == 0 else {
            return .badIDLength
        }
        if row.traceHigh | row.traceLow == 0 { return .zeroTraceID }
        return row.spanID == 0 ? .zeroSpanID : nil
    }

    /// Counts one attribute, event or link that was dropped here.
    mutating func drop(_ counter: WritableKeyPath<SpanRow, UInt32>) {
        row[keyPath: counter] &+= 1
        row.marks.insert(.truncated)
    }
}

extension SpanAssembler {
    /// Adds a link; one that has neither ids nor anything else is dropped and counted.
    mutating func add(_ link: LinkRow, to draft: inout OTLPSpanDraft) {
        let hasIDs = link.traceHigh | link.traceLow != 0 && link.spanID != 0
        guard hasIDs || link.attributeCount > 0 || link.traceState.count > 0 else {
            return draft.drop(\.droppedLinks)
        }
        builder.links.append(link)
        draft.row.linkCount &+= 1
    }
}
