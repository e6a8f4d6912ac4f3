internal import Telemetry

/// The types of thrift's data model; each protocol has its own numbers for them.
enum ThriftType {
    case bool
    case byte
    case int16
    case int32
    case int64
    case double
    /// Strings too: the wire does not tell them apart.
    case binary
    case structure
    case map
    case set
    case list
    case uuid
}

struct ThriftField {
    var id: Int16
    var type: ThriftType
    /// The value of a bool that the field's header itself carries.
    var flag: Bool?
}

/// What stands before the elements of a list or set.
struct ThriftList {
    var element: ThriftType
    var count: Int
}

struct ThriftMap {
    var key: ThriftType
    var value: ThriftType
    var count: Int
}

/// What stands before the arguments of a call.
struct ThriftMessage {
    var name: UnsafeRawBufferPointer
    /// 1 call, 2 reply, 3 exception, 4 oneway.
    var type: UInt8
}

/// A cursor over borrowed thrift values in one protocol.
///
///     var last: Int16 = 0
///     while let field = try cursor.readField(after: &last) {
///         switch (field.id, field.type) {
///         case (1, .int64): id = try cursor.readInt64()
///         default: try cursor.skip(field)
///         }
///     }
///
/// Every read is checked against the end of the body; a count is checked against the bytes that are left, so that no
/// header can promise more than the body holds. Nothing is copied and nothing recurses. The bytes must outlive the
/// cursor; a copy of it is a place to come back to.
/// Source: schemas/wire/thrift.md.
protocol ThriftCursor {
    init(_ body: UnsafeRawBufferPointer)

    /// The next byte to read, from the start of the body.
    var offset: Int { get }

    /// The header of a field; nil at the end of the struct.
    /// - Parameter last: the id of the field before in this struct, zero before the first.
    mutating func readField(after last: inout Int16) throws(WireError) -> ThriftField?

    mutating func readBool(_ field: ThriftField) throws(WireError) -> Bool
    mutating func readInt16() throws(WireError) -> Int16
    mutating func readInt32() throws(WireError) -> Int32
    mutating func readInt64() throws(WireError) -> Int64
    mutating func readDouble() throws(WireError) -> Double
    /// A string or bytes, borrowed.
    mutating func readBytes() throws(WireError) -> UnsafeRawBufferPointer

    mutating func readList() throws(WireError) -> ThriftList
    mutating func readMap() throws(WireError) -> ThriftMap
    mutating func readMessage() throws(WireError) -> ThriftMessage

    /// Passes over a value that is no container.
    mutating func skipScalar(_ type: ThriftType) throws(WireError)
}

extension ThriftCursor {
    /// Passes over the value of a field that the caller does not read.
    mutating func skip(_ field: ThriftField) throws(WireError) {
        if field.type == .bool { _ = try readBool(field) } else { try skip(field.type) }
    }

    /// Passes over a value, containers to ``Limits/nestingDepth`` levels.
    mutating func skip(_ type: ThriftType) throws(WireError) {
        var open: [ThriftContainer] = []
        var next: ThriftType? = type
        while let type = next {
            guard let container = try enter(type) else {
                next = try nextValue(&open)
                continue
            }
            guard open.count < Limits.nestingDepth else { throw WireError(.nesting, at: offset) }
            open.append(container)
            next = try nextValue(&open)
        }
    }

    /// Reads the header of a container; nil when the value was a scalar, which is passed over then.
    private mutating func enter(_ type: ThriftType) throws(WireError) -> ThriftContainer? {
        switch type {
        case .structure: return .structure(last: 0)
        case .list, .set:
            let list = try readList()
            return .values(list.element, list.element, left: list.count)
        case .map:
            let map = try readMap()
            return .values(map.key, map.value, left: map.count * 2)
        default:
            try skipScalar(type)
            return nil
        }
    }

    /// The type of the next value inside the open containers, those at their end closed; nil when all are.
    private mutating func nextValue(_ open: inout [ThriftContainer]) throws(WireError) -> ThriftType? {
        while let container = open.popLast() {
            switch container {
            case .values(let first, let second, let left):
                guard left > 0 else { continue }
                open.append(.values(second, first, left: left - 1))
                return first
            case .structure(var last):
                guard let field = try readField(after: &last) else { continue }
                open.append(.structure(last: last))
                guard field.type == .bool else { return field.type }
                _ = try readBool(field)
            }
        }
        return nil
    }
}

/// A container that is being passed over.
private enum ThriftContainer {
    case structure(last: Int16)
    /// Values of two types by turns: keys and values of a map; in a list both are the same.
    case values(ThriftType, ThriftType, left: Int)
}
