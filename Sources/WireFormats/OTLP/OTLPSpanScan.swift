package import Telemetry

/// Looks over an OTLP `ExportTraceServiceRequest` in protobuf form for what tells how important its spans are.
///
/// One pass in the order in which ``decodeOTLPTraces(_:origin:keeping:)`` meets the spans, so that their numbers agree.
/// Nothing is decoded, copied or checked beyond the structure that is walked over; attributes of spans are passed over.
/// - Parameters:
///   - seed: of the services' keys.
///   - facts: gets one element for each span, refused ones included.
/// - Returns: false when there are more than ``Limits/scannedSpans``; the others were not looked at.
/// - Throws: for bytes whose structure is broken where it is looked at. The decoder looks at more.
package func scanOTLPSpans(
    _ body: UnsafeRawBufferPointer, seed: UInt64, into facts: inout [SpanFacts]
) throws(WireError) -> Bool {
    guard var cursor = ProtobufCursor(body) else { return true }
    facts.reserveCapacity(facts.count + min(body.count / 256, Limits.scannedSpans))
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        guard tag == bytesTag(1) else {
            try cursor.pass(tag)
            continue
        }
        try scanResourceSpans(try cursor.readMessage(), seed, &facts)
        if facts.count > Limits.scannedSpans { return false }
    }
    return true
}

private func scanResourceSpans(
    _ message: ProtobufCursor, _ seed: UInt64, _ facts: inout [SpanFacts]
) throws(WireError) {
    var cursor = message
    let first = facts.count
    var service = SpanFacts.serviceKey(UnsafeRawBufferPointer(start: nil, count: 0), seed: seed)
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1):
            let name = try serviceName(try cursor.readMessage())
            if let name { service = SpanFacts.serviceKey(name, seed: seed) }
        case bytesTag(2): try scanScopeSpans(try cursor.readMessage(), &facts)
        default: try cursor.pass(tag)
        }
    }
    for index in first..<facts.count { facts[index].service = service }
}

/// The value of the first attribute `service.name`.
private func serviceName(_ resource: ProtobufCursor) throws(WireError) -> UnsafeRawBufferPointer? {
    var cursor = resource
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        guard tag == bytesTag(1) else {
            try cursor.pass(tag)
            continue
        }
        if let name = try stringValue(of: "service.name", try cursor.readMessage()) { return name }
    }
    return nil
}

private func stringValue(of wanted: StaticString, _ pair: ProtobufCursor) throws(WireError) -> UnsafeRawBufferPointer? {
    var cursor = pair
    var isWanted = false
    var value: UnsafeRawBufferPointer?
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1):
            let key = try cursor.readBytes()
            isWanted =
                key.count == wanted.utf8CodeUnitCount
                && key.elementsEqual(UnsafeBufferPointer(start: wanted.utf8Start, count: key.count))
        case bytesTag(2):
            var any = try cursor.readMessage()
            value = nil
            while !any.isAtEnd {
                let inner = try any.readTag()
                if inner == bytesTag(1) { value = try any.readBytes() } else { try any.pass(inner) }
            }
        default: try cursor.pass(tag)
        }
    }
    return isWanted ? value : nil
}

private func scanScopeSpans(_ message: ProtobufCursor, _ facts: inout [SpanFacts]) throws(WireError) {
    var cursor = message
    while !cursor.isAtEnd, facts.count <= Limits.scannedSpans {
        let tag = try cursor.readTag()
        if tag == bytesTag(2) {
            facts.append(try scanSpan(try cursor.readMessage()))
        } else {
            try cursor.pass(tag)
        }
    }
}

private func scanSpan(_ message: ProtobufCursor) throws(WireError) -> SpanFacts {
    var cursor = message
    var facts = SpanFacts()
    var (parent, start, end): (UInt64, UInt64, UInt64) = (0, 0, 0)
    var kind: UInt64 = 0
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        switch tag {
        case bytesTag(1): (facts.traceHigh, facts.traceLow) = traceID(try cursor.readBytes())
        case bytesTag(4): parent = spanID(try cursor.readBytes())
        case varintTag(6): kind = try cursor.readVarint()
        case fixed64Tag(7): start = try cursor.readFixed64()
        case fixed64Tag(8): end = try cursor.readFixed64()
        case bytesTag(15):
            let code = try statusCode(try cursor.readMessage())
            if let code { facts.isError = code == UInt64(SpanStatus.error.rawValue) }
        default: try cursor.pass(tag)
        }
    }
    facts.duration = end > start ? end - start : 0
    facts.isEntry =
        parent == 0 || kind == UInt64(SpanKind.server.rawValue) || kind == UInt64(SpanKind.consumer.rawValue)
    return facts
}

private func statusCode(_ status: ProtobufCursor) throws(WireError) -> UInt64? {
    var cursor = status
    var code: UInt64?
    while !cursor.isAtEnd {
        let tag = try cursor.readTag()
        if tag == varintTag(3) { code = try cursor.readVarint() } else { try cursor.pass(tag) }
    }
    return code
}
