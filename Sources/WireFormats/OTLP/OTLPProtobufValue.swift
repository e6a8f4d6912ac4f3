internal import Telemetry

/// `KeyValue` and `AnyValue`.
extension OTLPProtobufDecoder {
    /// The fields of a `KeyValue`, borrowed.
    private struct Pair {
        var key = UnsafeRawBufferPointer(start: nil, count: 0)
        /// The last value, or nil when there is none.
        var value: ProtobufCursor?
    }

    @inline(__always)
    private func readPair(_ cursor: inout ProtobufCursor) throws(WireError) -> Pair {
        let outer = try cursor.enter()
        var pair = Pair()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): pair.key = try cursor.readBytes()
            case bytesTag(2): pair.value = try cursor.readMessage()
            default: try cursor.skip(tag, known: 0b110)
            }
        }
        cursor.leave(outer)
        return pair
    }

    /// Reads a `KeyValue` of a resource or a scope, whose cuts no mark shows.
    mutating func decodeKeyValue(_ cursor: inout ProtobufCursor, count: UInt32) throws(WireError) -> Bool {
        var marks = SpanMarks()
        return try decodeKeyValue(&cursor, count: count, marks: &marks)
    }

    /// Reads the `KeyValue` that is the next value and appends its row.
    ///
    /// - Parameter count: attributes that the owner has already.
    /// - Returns: false when it was dropped: one too many, without a key, or a nested value that is too large.
    @inline(__always)
    mutating func decodeKeyValue(
        _ cursor: inout ProtobufCursor, count: UInt32, marks: inout SpanMarks
    ) throws(WireError) -> Bool {
        let pair = try readPair(&cursor)
        guard count < Limits.attributesPerSpan, pair.key.count > 0 else { return false }
        guard let key = spans.key(pair.key, marks: &marks) else { return false }
        guard let value = pair.value else {
            spans.builder.attributes.append(AttributeRow(key: key, type: .empty, payload: 0))
            return true
        }
        return try decodeValue(value, key: key, marks: &marks)
    }

    @inline(__always)
    private mutating func decodeValue(
        _ message: ProtobufCursor, key: Int, marks: inout SpanMarks
    ) throws(WireError) -> Bool {
        var cursor = message
        var row = AttributeRow(key: key, type: .empty, payload: 0)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let slice = spans.string(
                    try cursor.readBytes(), limit: Limits.attributeValueBytes, marks: &marks)
                row = AttributeRow(key: key, type: .string, slice: slice)
            case varintTag(2):
                row = AttributeRow(key: key, type: .bool, payload: try cursor.readVarint() == 0 ? 0 : 1)
            case varintTag(3): row = AttributeRow(key: key, type: .int, payload: try cursor.readVarint())
            case fixed64Tag(4): row = AttributeRow(key: key, type: .double, payload: try cursor.readFixed64())
            case bytesTag(5), bytesTag(6):
                let type: AttributeType = tag == bytesTag(5) ? .array : .map
                guard let slice = try decodeNested(try cursor.readMessage(), type) else { return false }
                row = AttributeRow(key: key, type: type, slice: slice)
            case bytesTag(7):
                let slice = spans.bytes(try cursor.readBytes(), marks: &marks)
                row = AttributeRow(key: key, type: .bytes, slice: slice)
            default: try cursor.skip(tag, known: 0xfe)
            }
        }
        spans.builder.attributes.append(row)
        return true
    }

    // MARK: Arrays and maps

    /// Rewrites an `ArrayValue` or `KeyValueList` as nested value bytes; nil when it is larger than a value may be.
    @inline(never)
    private mutating func decodeNested(
        _ message: ProtobufCursor, _ type: AttributeType
    ) throws(WireError) -> ByteSlice? {
        let start = spans.builder.arena.count
        try appendContent(message, type, level: 1)
        return spans.nestedSlice(from: start)
    }

    private mutating func appendContent(
        _ message: ProtobufCursor, _ type: AttributeType, level: Int
    ) throws(WireError) {
        guard level <= Limits.nestingDepth else { throw WireError(.nesting, at: message.offset) }
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(1) else {
                try cursor.skip(tag, known: 1 << 1)
                continue
            }
            if type == .array {
                try appendValue(try cursor.readMessage(), level: level)
            } else {
                let pair = try readPair(&cursor)
                spans.appendPrefixedText(pair.key)
                if let value = pair.value {
                    try appendValue(value, level: level)
                } else {
                    spans.builder.arena.append(AttributeType.empty.rawValue)
                }
            }
        }
    }

    /// Appends type and value; of several values the last one counts, as protobuf has it.
    private mutating func appendValue(_ message: ProtobufCursor, level: Int) throws(WireError) {
        var cursor = message
        let start = spans.builder.arena.count
        spans.builder.arena.append(AttributeType.empty.rawValue)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard (1...7).contains(tag >> 3) else {
                try cursor.skip(tag, known: 0)
                continue
            }
            spans.builder.arena.removeLast(spans.builder.arena.count - start)
            switch tag {
            case bytesTag(1):
                let text = try cursor.readBytes()
                spans.builder.arena.append(AttributeType.string.rawValue)
                spans.appendPrefixedText(text)
            case varintTag(2):
                spans.builder.arena.append(AttributeType.bool.rawValue)
                spans.builder.arena.append(try cursor.readVarint() == 0 ? 0 : 1)
            case varintTag(3): spans.appendWord(.int, try cursor.readVarint())
            case fixed64Tag(4): spans.appendWord(.double, try cursor.readFixed64())
            case bytesTag(5), bytesTag(6):
                let type: AttributeType = tag == bytesTag(5) ? .array : .map
                spans.builder.arena.append(type.rawValue)
                let content = spans.builder.arena.count
                try appendContent(try cursor.readMessage(), type, level: level + 1)
                spans.prefixContent(from: content)
            case bytesTag(7):
                spans.builder.arena.append(AttributeType.bytes.rawValue)
                spans.appendPrefixed(try cursor.readBytes())
            default: try cursor.skip(tag, known: 0xfe)
            }
        }
    }
}
