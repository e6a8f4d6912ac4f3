/// Reads `rejected_spans` from an `ExportTraceServiceResponse`.
///
/// Anything that is not such a message counts as "none rejected": the status line already said that the batch
/// was taken, and a body we cannot read must not turn that into a loss.
/// - Source: opentelemetry/proto/collector/trace/v1/trace_service.proto: partial_success = 1 { rejected_spans = 1 }.
package func parseRejectedSpans(_ body: [UInt8]) -> Int {
    guard let partial = field(1, wireType: 2, in: body[...]), case .bytes(let inner) = partial,
        let rejected = field(1, wireType: 0, in: inner), case .varint(let count) = rejected
    else { return 0 }
    return Int(clamping: Int64(bitPattern: count))
}

private enum FieldValue {
    case varint(UInt64)
    case bytes(ArraySlice<UInt8>)
}

/// The first field with this number and type; `nil` when there is none or the message is damaged before it.
private func field(_ number: UInt64, wireType: UInt64, in message: ArraySlice<UInt8>) -> FieldValue? {
    var rest = message
    while !rest.isEmpty {
        guard let tag = takeVarint(&rest) else { return nil }
        let value: FieldValue
        switch tag & 7 {
        case 0:
            guard let number = takeVarint(&rest) else { return nil }
            value = .varint(number)
        case 1, 5:
            let width = tag & 7 == 1 ? 8 : 4
            guard rest.count >= width else { return nil }
            value = .bytes(rest.prefix(width))
            rest = rest.dropFirst(width)
        case 2:
            guard let length = takeVarint(&rest), length <= UInt64(rest.count) else { return nil }
            value = .bytes(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
        default: return nil
        }
        if tag >> 3 == number, tag & 7 == wireType { return value }
    }
    return nil
}

private func takeVarint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in 0..<10 {
        guard let byte = bytes.popFirst() else { return nil }
        value |= UInt64(byte & 0x7F) << UInt64(shift * 7)
        if byte < 0x80 { return value }
    }
    return nil
}
