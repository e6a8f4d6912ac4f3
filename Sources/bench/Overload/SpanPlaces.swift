internal import Telemetry

/// Where in an OTLP request body the ids and the statuses of its spans stand, so that they can be changed in place.
struct SpanPlaces {
    struct Span {
        var traceID: TraceID
        /// Of the status code's byte; nil when the span has none.
        var statusOffset: Int?
        var isError = false
    }

    /// A trace id as it stands in the body: of a span or of a link.
    struct Occurrence {
        var offset: Int
        var traceID: TraceID
    }

    private(set) var spans: [Span] = []
    private(set) var occurrences: [Occurrence] = []

    /// Reads resource spans, scope spans, spans, their ids, links and statuses; the rest is passed over.
    init(_ body: [UInt8]) {
        for resource in Fields(body, 0..<body.count) where resource.number == 1 {
            for scope in Fields(body, resource.content) where scope.number == 2 {
                for span in Fields(body, scope.content) where span.number == 2 { add(body, span.content) }
            }
        }
    }

    private mutating func add(_ body: [UInt8], _ range: Range<Int>) {
        var span = Span(traceID: TraceID(high: 0, low: 0))
        for field in Fields(body, range) {
            switch field.number {
            case 1:
                guard let id = note(body, field.content) else { continue }
                span.traceID = id
            case 13:
                for part in Fields(body, field.content) where part.number == 1 { _ = note(body, part.content) }
            case 15:
                for part in Fields(body, field.content) where part.number == 3 {
                    span.statusOffset = part.content.lowerBound
                    span.isError = body[part.content.lowerBound] == 2
                }
            default: break
            }
        }
        spans.append(span)
    }

    private mutating func note(_ body: [UInt8], _ range: Range<Int>) -> TraceID? {
        guard range.count == 16 else { return nil }
        func word(_ start: Int) -> UInt64 { body[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) } }
        let id = TraceID(high: word(range.lowerBound), low: word(range.lowerBound + 8))
        occurrences.append(Occurrence(offset: range.lowerBound, traceID: id))
        return id
    }
}

/// Puts recorded spans into the requests that their services would have sent, each with an exporter of its own that
/// sends when it has so many spans. The parts of a trace then come in several requests, as they do in a real system.
func batchesByService(_ recorded: [[UInt8]], spans wanted: Int) -> [[UInt8]] {
    var open: [[UInt8]: (body: [UInt8], spans: Int)] = [:]
    var batches: [[UInt8]] = []
    for body in recorded {
        for resource in Fields(body, 0..<body.count) where resource.number == 1 {
            let service = Fields(body, resource.content).first { $0.number == 1 }.map { Array(body[$0.content]) } ?? []
            let part = lengthDelimited(1, body[resource.content])
            var batch = open[service] ?? ([], 0)
            batch.body += part
            batch.spans += SpanPlaces(part).spans.count
            if batch.spans >= wanted {
                batches.append(batch.body)
                batch = ([], 0)
            }
            open[service] = batch
        }
    }
    let rest = open.values.map(\.body).filter { !$0.isEmpty }
    return batches + rest.sorted { $0.count > $1.count }
}

private func lengthDelimited(_ number: UInt8, _ content: ArraySlice<UInt8>) -> [UInt8] {
    var bytes: [UInt8] = [number << 3 | 2]
    var length = content.count
    while length >= 128 {
        bytes.append(UInt8(length & 127 | 128))
        length >>= 7
    }
    bytes.append(UInt8(length))
    return bytes + content
}

/// The fields of a protobuf message, one after another; ends where the bytes make no field.
struct Fields: Sequence, IteratorProtocol {
    private let bytes: [UInt8]
    private var index: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>) {
        self.bytes = bytes
        index = range.lowerBound
        end = range.upperBound
    }

    /// The content of a varint is its own bytes.
    mutating func next() -> (number: Int, content: Range<Int>)? {
        guard let tag = varint() else { return nil }
        let start = index
        switch tag & 7 {
        case 0: guard varint() != nil else { return nil }
        case 1: index += 8
        case 2:
            guard let length = varint(), length <= end - index else { return nil }
            index += length
            return (tag >> 3, index - length..<index)
        case 5: index += 4
        default: return nil
        }
        return index <= end ? (tag >> 3, start..<index) : nil
    }

    private mutating func varint() -> Int? {
        var value = 0
        var shift = 0
        while index < end, shift < 56 {
            let byte = bytes[index]
            index += 1
            value |= Int(byte & 127) << shift
            if byte < 128 { return value }
            shift += 7
        }
        return nil
    }
}
