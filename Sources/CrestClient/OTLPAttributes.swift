/// `KeyValue` and `AnyValue`: size first, then bytes, in the same order.
/// - Source: opentelemetry/proto/common/v1/common.proto.
extension OTLPEncoder {
    /// One `KeyValue` as a field of its owner.
    /// - Parameter tag: the owner's tag for the repeated field.
    static func write(_ attribute: Attribute, tag: UInt8, to writer: inout ProtobufWriter) {
        let value = size(attribute.value)
        let key = ProtobufWriter.fieldSize(attribute.key.utf8.count)
        writer.lengthHeader(tag, key + ProtobufWriter.fieldSize(value))
        writer.stringField(0x0A, attribute.key)
        writer.lengthHeader(0x12, value)
        write(attribute.value, to: &writer)
    }

    /// Bytes of the `KeyValue` body.
    static func size(_ attribute: Attribute) -> Int {
        ProtobufWriter.fieldSize(attribute.key.utf8.count) + ProtobufWriter.fieldSize(size(attribute.value))
    }

    /// Bytes of the `AnyValue` body. A `oneof` member is written even when it holds its default.
    static func size(_ value: AttributeValue) -> Int {
        switch value {
        case .string(let text): ProtobufWriter.fieldSize(text.utf8.count)
        case .bool: 2
        case .int(let number): 1 + ProtobufWriter.varintSize(UInt64(bitPattern: number))
        case .double: 9
        case .stringArray, .boolArray, .intArray, .doubleArray: ProtobufWriter.fieldSize(elementsSize(value))
        }
    }

    /// Bytes of the `ArrayValue` body.
    private static func elementsSize(_ value: AttributeValue) -> Int {
        switch value {
        case .stringArray(let items):
            items.reduce(0) { $0 + ProtobufWriter.fieldSize(size(.string($1))) }
        case .boolArray(let items): items.count * 4
        case .intArray(let items):
            items.reduce(0) { $0 + ProtobufWriter.fieldSize(size(.int($1))) }
        case .doubleArray(let items): items.count * 11
        case .string, .bool, .int, .double: 0
        }
    }

    private static func write(_ value: AttributeValue, to writer: inout ProtobufWriter) {
        switch value {
        case .string(let text): writer.stringField(0x0A, text)
        case .bool(let flag): writer.varintField(0x10, flag ? 1 : 0)
        case .int(let number): writer.varintField(0x18, UInt64(bitPattern: number))
        case .double(let number): writer.fixed64Field(0x21, number.bitPattern)
        case .stringArray(let items): writeArray(value, items.map(AttributeValue.string), to: &writer)
        case .boolArray(let items): writeArray(value, items.map(AttributeValue.bool), to: &writer)
        case .intArray(let items): writeArray(value, items.map(AttributeValue.int), to: &writer)
        case .doubleArray(let items): writeArray(value, items.map(AttributeValue.double), to: &writer)
        }
    }

    /// `AnyValue.array_value`; its elements are scalars, so this goes one level deep and no further.
    private static func writeArray(
        _ array: AttributeValue, _ elements: [AttributeValue], to writer: inout ProtobufWriter
    ) {
        writer.lengthHeader(0x2A, elementsSize(array))
        for element in elements {
            writer.lengthHeader(0x0A, size(element))
            write(element, to: &writer)
        }
    }
}
