/// Checked reads from a borrowed body, for both protocols.
///
/// `offset <= body.count` always holds.
struct ThriftBytes {
    private let body: UnsafeRawBufferPointer
    private(set) var offset = 0

    init(_ body: UnsafeRawBufferPointer) { self.body = body }

    var left: Int { body.count &- offset }

    @inline(__always)
    mutating func readByte() throws(WireError) -> UInt8 {
        guard offset < body.count else { throw WireError(.truncated, at: offset) }
        let byte = body[offset]
        offset &+= 1
        return byte
    }

    /// A number as it lies in memory; the caller says in which order its bytes are.
    @inline(__always)
    mutating func read<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type
    ) throws(WireError) -> Number {
        guard left >= MemoryLayout<Number>.size else { throw WireError(.truncated, at: offset) }
        let number = body.loadUnaligned(fromByteOffset: offset, as: Number.self)
        offset &+= MemoryLayout<Number>.size
        return number
    }

    /// - Parameter start: where the length stood, for the error.
    @inline(__always)
    mutating func readBytes(_ count: Int, lengthAt start: Int) throws(WireError) -> UnsafeRawBufferPointer {
        guard count >= 0, count <= left else { throw WireError(.length, at: start) }
        let bytes = UnsafeRawBufferPointer(rebasing: body[offset..<offset &+ count])
        offset &+= count
        return bytes
    }

    mutating func skip(_ count: Int) throws(WireError) {
        guard count <= left else { throw WireError(.truncated, at: offset) }
        offset &+= count
    }

    /// Refuses a number of elements that the rest of the body cannot hold.
    /// - Parameter least: bytes that an element takes at least.
    func check(_ count: Int, least: Int, at start: Int) throws(WireError) {
        guard count >= 0, count <= left / least else { throw WireError(.length, at: start) }
    }

    /// A varint of at most 64 bits.
    @inline(__always)
    mutating func readVarint() throws(WireError) -> UInt64 {
        let start = offset
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let byte = try readByte()
            if shift == 63, byte > 1 { throw WireError(.varint, at: start) }
            value |= UInt64(byte & 0x7f) &<< shift
            if byte < 0x80 { return value }
            shift &+= 7
        }
    }
}
