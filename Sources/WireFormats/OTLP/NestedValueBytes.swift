internal import Bytes
internal import Telemetry

/// Bytes values and the pieces of arrays and maps; see ``NestedValue`` for the layout.
extension SpanAssembler {
    mutating func bytes(_ bytes: UnsafeRawBufferPointer, marks: inout SpanMarks) -> ByteSlice {
        guard bytes.count > Limits.attributeValueBytes else { return builder.append(bytes) }
        marks.insert(.truncated)
        return builder.append(UnsafeRawBufferPointer(rebasing: bytes[..<Limits.attributeValueBytes]))
    }

    /// A string or a key, with its length in front.
    mutating func appendPrefixedText(_ bytes: UnsafeRawBufferPointer) {
        guard !isUTF8(bytes) else { return appendPrefixed(bytes) }
        repaired(bytes, Limits.attributeValueBytes).withUnsafeBytes { appendPrefixed($0) }
    }

    mutating func appendPrefixed(_ bytes: UnsafeRawBufferPointer) {
        builder.arena.append(contentsOf: varintBytes(UInt64(bytes.count)))
        builder.arena.append(contentsOf: bytes)
    }

    mutating func appendWord(_ type: AttributeType, _ word: UInt64) {
        builder.arena.append(type.rawValue)
        withUnsafeBytes(of: word.littleEndian) { builder.arena.append(contentsOf: $0) }
    }

    /// Puts the length of what was appended since `start` in front of it.
    mutating func prefixContent(from start: Int) {
        let length = varintBytes(UInt64(builder.arena.count - start))
        builder.arena.insert(contentsOf: length, at: start)
    }

    private func varintBytes(_ value: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.writeVarint(value)
        return writer.bytes
    }
}
