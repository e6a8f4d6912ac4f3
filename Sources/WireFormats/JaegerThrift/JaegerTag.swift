internal import Telemetry

/// A `Tag`, borrowed: a key and the value that `vType` names.
struct JaegerTag {
    private(set) var key = UnsafeRawBufferPointer(start: nil, count: 0)
    private var type: Int32 = 0
    private(set) var text = UnsafeRawBufferPointer(start: nil, count: 0)
    private var double = 0.0
    private(set) var flag = false
    private var long: Int64 = 0
    private var binary = UnsafeRawBufferPointer(start: nil, count: 0)

    init(_ cursor: inout some ThriftCursor) throws(WireError) {
        var last: Int16 = 0
        while let field = try cursor.readField(after: &last) {
            switch (field.id, field.type) {
            case (1, .binary): key = try cursor.readBytes()
            case (2, .int32): type = try cursor.readInt32()
            case (3, .binary): text = try cursor.readBytes()
            case (4, .double): double = try cursor.readDouble()
            case (5, .bool): flag = try cursor.readBool(field)
            case (6, .int64): long = try cursor.readInt64()
            case (7, .binary): binary = try cursor.readBytes()
            default: try cursor.skip(field)
            }
        }
    }

    var isString: Bool { type == 0 }
    var isBool: Bool { type == 2 }

    /// The row of the attribute; nil for a type that is not known.
    fileprivate func row(
        key: Int, _ spans: inout SpanAssembler, _ marks: inout SpanMarks
    ) -> AttributeRow? {
        switch type {
        case 0:
            let slice = spans.string(text, limit: Limits.attributeValueBytes, marks: &marks)
            return AttributeRow(key: key, type: .string, slice: slice)
        case 1: return AttributeRow(key: key, type: .double, payload: double.bitPattern)
        case 2: return AttributeRow(key: key, type: .bool, payload: flag ? 1 : 0)
        case 3: return AttributeRow(key: key, type: .int, payload: UInt64(bitPattern: long))
        case 4: return AttributeRow(key: key, type: .bytes, slice: spans.bytes(binary, marks: &marks))
        default: return nil
        }
    }
}

extension JaegerThriftDecoder {
    /// Appends a tag as an attribute.
    ///
    /// - Parameter count: attributes that the owner has already.
    /// - Returns: false when it was dropped: one too many, without a key, or of a type that is not known.
    mutating func append(_ tag: JaegerTag, count: UInt32, marks: inout SpanMarks) -> Bool {
        guard count < Limits.attributesPerSpan, tag.key.count > 0,
            let key = spans.key(tag.key, marks: &marks),
            let row = tag.row(key: key, &spans, &marks)
        else { return false }
        spans.builder.attributes.append(row)
        return true
    }
}
