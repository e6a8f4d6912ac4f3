internal import Bytes

/// The bytes of an array or a map inside a batch's arena.
///
///     array content = value*            map content = (varint length, key, value)*
///     value = type u8, then: string, bytes: varint length + bytes | bool: u8 | int, double: 8 bytes
///                            array, map: varint length of the content + content | empty: nothing
///
/// Types are the numbers of ``AttributeType``. At most ``Limits/nestingDepth`` levels.
/// Source: schemas/disk/span-batch.md, "Nested values".
package enum NestedValue {
    /// The content bytes of an array's elements or a map's entries.
    package static func encode(array elements: [AttributeValue]) -> [UInt8] {
        var writer = ByteWriter()
        for element in elements { write(element, to: &writer) }
        return writer.bytes
    }

    package static func encode(map entries: [Attribute]) -> [UInt8] {
        var writer = ByteWriter()
        for entry in entries {
            writer.writeVarint(UInt64(entry.key.utf8.count))
            writer.write(entry.key)
            write(entry.value, to: &writer)
        }
        return writer.bytes
    }

    private static func write(_ value: AttributeValue, to writer: inout ByteWriter) {
        switch value {
        case .empty: writer.write(AttributeType.empty.rawValue)
        case .string(let text):
            writer.write(AttributeType.string.rawValue)
            writer.writeVarint(UInt64(text.utf8.count))
            writer.write(text)
        case .bool(let flag):
            writer.write(AttributeType.bool.rawValue)
            writer.write(UInt8(flag ? 1 : 0))
        case .int(let number):
            writer.write(AttributeType.int.rawValue)
            writer.write(number)
        case .double(let number):
            writer.write(AttributeType.double.rawValue)
            writer.write(number.bitPattern)
        case .bytes(let bytes):
            writer.write(AttributeType.bytes.rawValue)
            writer.writeVarint(UInt64(bytes.count))
            writer.write(bytes)
        case .array(let elements):
            writer.write(AttributeType.array.rawValue)
            let content = encode(array: elements)
            writer.writeVarint(UInt64(content.count))
            writer.write(content)
        case .map(let entries):
            writer.write(AttributeType.map.rawValue)
            let content = encode(map: entries)
            writer.writeVarint(UInt64(content.count))
            writer.write(content)
        }
    }

    /// Reads an array's or a map's content back; nil when the bytes are damaged or nested too deeply.
    package static func decode(_ type: AttributeType, content: [UInt8], depth: Int = 0) -> AttributeValue? {
        guard depth <= Limits.nestingDepth else { return nil }
        var reader = ByteReader(content.span.bytes)
        do {
            if type == .array {
                var elements: [AttributeValue] = []
                while !reader.isAtEnd {
                    guard let element = try read(&reader, depth: depth) else { return nil }
                    elements.append(element)
                }
                return .array(elements)
            }
            var entries: [Attribute] = []
            while !reader.isAtEnd {
                let key = try reader.readBytes(try reader.readCount(limit: reader.remaining))
                guard let value = try read(&reader, depth: depth) else { return nil }
                entries.append(Attribute(String(decoding: key, as: UTF8.self), value))
            }
            return .map(entries)
        } catch {
            return nil
        }
    }

    private static func read(_ reader: inout ByteReader, depth: Int) throws(ByteReadError) -> AttributeValue? {
        guard let type = AttributeType(rawValue: try reader.read(UInt8.self)) else { return nil }
        switch type {
        case .empty: return .empty
        case .bool: return .bool(try reader.read(UInt8.self) != 0)
        case .int: return .int(try reader.read(Int64.self))
        case .double: return .double(Double(bitPattern: try reader.read(UInt64.self)))
        case .string, .bytes, .array, .map:
            let content = try reader.readBytes(try reader.readCount(limit: reader.remaining))
            switch type {
            case .string: return .string(String(decoding: content, as: UTF8.self))
            case .bytes: return .bytes(content)
            default: return decode(type, content: content, depth: depth + 1)
            }
        }
    }
}
