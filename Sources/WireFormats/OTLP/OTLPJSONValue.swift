internal import Telemetry

/// Attribute lists and values.
extension OTLPJSONDecoder {
    /// Reads an array of `{"key":...,"value":{...}}` and appends a row for each that is kept.
    mutating func attributes(
        marks: inout SpanMarks
    ) throws(WireError) -> (first: UInt32, count: UInt32, dropped: UInt32) {
        let first = spans.attributeIndex
        var dropped: UInt32 = 0
        try json.beginArray()
        while try json.nextElement() {
            guard spans.attributeIndex &- first < Limits.attributesPerSpan else {
                try json.skipValue()
                dropped &+= 1
                continue
            }
            if try !decodePair(marks: &marks) { dropped &+= 1 }
        }
        if dropped > 0 { marks.insert(.truncated) }
        return (first, spans.attributeIndex &- first, dropped)
    }

    /// Reads a pair whose fields may stand in either order.
    private mutating func readPair() throws(WireError) -> (key: JSONString?, value: JSONReader?) {
        var key: JSONString?
        var value: JSONReader?
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            switch name {
            case "key": key = try json.readString()
            case "value":
                value = json
                try json.skipValue()
            default: try json.skipValue()
            }
        }
        return (key, value)
    }

    private mutating func decodePair(marks: inout SpanMarks) throws(WireError) -> Bool {
        let pair = try readPair()
        guard let name = pair.key, name.raw.count > 0 else { return false }
        guard let key = spans.key(name, marks: &marks) else { return false }
        guard let value = pair.value else {
            spans.builder.attributes.append(AttributeRow(key: key, type: .empty, payload: 0))
            return true
        }
        let end = json
        json = value
        defer { json = end }
        return try decodeValue(key: key, marks: &marks)
    }

    private mutating func decodeValue(key: Int, marks: inout SpanMarks) throws(WireError) -> Bool {
        var row = AttributeRow(key: key, type: .empty, payload: 0)
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            switch name {
            case "stringValue":
                let text = try json.readString()
                let slice = spans.text(text, limit: Limits.attributeValueBytes, marks: &marks)
                row = AttributeRow(key: key, type: .string, slice: slice)
            case "boolValue": row = AttributeRow(key: key, type: .bool, payload: try json.readBool() ? 1 : 0)
            case "intValue":
                row = AttributeRow(key: key, type: .int, payload: UInt64(bitPattern: try json.readInt64()))
            case "doubleValue": row = AttributeRow(key: key, type: .double, payload: try json.readDouble().bitPattern)
            case "bytesValue":
                let slice = try base64().withUnsafeBytes { spans.bytes($0, marks: &marks) }
                row = AttributeRow(key: key, type: .bytes, slice: slice)
            case "arrayValue", "kvlistValue":
                let type: AttributeType = name.equals("arrayValue") ? .array : .map
                let start = spans.builder.arena.count
                try appendContent(type)
                guard let slice = spans.nestedSlice(from: start) else {
                    row = AttributeRow(key: key, type: .empty, payload: 1)
                    continue
                }
                row = AttributeRow(key: key, type: type, slice: slice)
            default: try json.skipValue()
            }
        }
        // Payload 1 of an empty value stands for a nested value that was too large.
        guard row.type != .empty || row.payload == 0 else { return false }
        spans.builder.attributes.append(row)
        return true
    }

    private mutating func base64() throws(WireError) -> [UInt8] {
        let text = try json.readString()
        guard let bytes = text.withPlain({ base64Decoded($0) }) else { throw WireError(.base64, at: text.offset) }
        return bytes
    }

    // MARK: Arrays and maps; the reader bounds how deeply they nest

    /// Appends what stands in `{"values":[...]}`.
    private mutating func appendContent(_ type: AttributeType) throws(WireError) {
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            guard name.equals("values") else {
                try json.skipValue()
                continue
            }
            try json.beginArray()
            while try json.nextElement() {
                if type == .array { try appendValue() } else { try appendPair() }
            }
        }
    }

    private mutating func appendPair() throws(WireError) {
        let pair = try readPair()
        if let key = pair.key {
            key.withPlain { spans.appendPrefixed($0) }
        } else {
            spans.builder.arena.append(0)
        }
        guard let value = pair.value else { return spans.builder.arena.append(AttributeType.empty.rawValue) }
        let end = json
        json = value
        try appendValue()
        json = end
    }

    private mutating func appendValue() throws(WireError) {
        let start = spans.builder.arena.count
        spans.builder.arena.append(AttributeType.empty.rawValue)
        if try json.readNull() { return }
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            let type: AttributeType
            switch name {
            case "stringValue": type = .string
            case "boolValue": type = .bool
            case "intValue": type = .int
            case "doubleValue": type = .double
            case "bytesValue": type = .bytes
            case "arrayValue": type = .array
            case "kvlistValue": type = .map
            default:
                try json.skipValue()
                continue
            }
            spans.builder.arena.removeLast(spans.builder.arena.count - start)
            try appendValue(of: type)
        }
    }

    private mutating func appendValue(of type: AttributeType) throws(WireError) {
        switch type {
        case .int: return spans.appendWord(.int, UInt64(bitPattern: try json.readInt64()))
        case .double: return spans.appendWord(.double, try json.readDouble().bitPattern)
        default: spans.builder.arena.append(type.rawValue)
        }
        switch type {
        case .string: try json.readString().withPlain { spans.appendPrefixed($0) }
        case .bool: spans.builder.arena.append(try json.readBool() ? 1 : 0)
        case .bytes: try base64().withUnsafeBytes { spans.appendPrefixed($0) }
        default:
            let content = spans.builder.arena.count
            try appendContent(type)
            spans.prefixContent(from: content)
        }
    }
}

/// Texts that come as JSON strings.
extension SpanAssembler {
    mutating func text(_ string: JSONString, limit: Int, marks: inout SpanMarks) -> ByteSlice {
        if !string.hasEscapes {
            return self.string(string.raw, limit: limit, marks: &marks)
        }
        // The cache must not remember bytes that are gone when this returns.
        var plain: [UInt8] = []
        string.appendPlain(to: &plain)
        if plain.count > limit { marks.insert(.truncated) }
        return plain.withUnsafeBytes { builder.append(utf8Prefix($0, limit)) }
    }

    mutating func key(_ string: JSONString, marks: inout SpanMarks) -> Int? {
        if !string.hasEscapes { return key(string.raw, marks: &marks) }
        var plain: [UInt8] = []
        string.appendPlain(to: &plain)
        if plain.count > Limits.nameBytes { marks.insert(.truncated) }
        let index = plain.withUnsafeBytes { builder.key(utf8Prefix($0, Limits.nameBytes)) }
        return index < AttributeRow.keyLimit ? index : nil
    }

    /// What was appended to the arena since `start` as the slice of a nested value; nil, and taken back, when it is
    /// larger than a value may be.
    mutating func nestedSlice(from start: Int) -> ByteSlice? {
        let count = builder.arena.count - start
        guard count <= Limits.attributeValueBytes else {
            builder.arena.removeLast(count)
            return nil
        }
        return ByteSlice(offset: UInt32(truncatingIfNeeded: start), count: UInt32(truncatingIfNeeded: count))
    }
}
