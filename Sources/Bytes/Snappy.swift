/// Inflates one snappy block; never produces more than `limit` bytes.
///
///     block   = varint length after inflation, elements
///     element = literal  | len-1 << 2 | 0        60...63: len-1 follows in 1...4 bytes; then the bytes
///             | copy     | off>>8 << 5 | len-4 << 2 | 1, off & 255
///             | copy     | len-1 << 2 | 2, off u16
///             | copy     | len-1 << 2 | 3, off u32                     little-endian
///
/// A copy may reach into what it writes itself. The length at the front must be met exactly. It is believed only as far
/// as the bytes that follow could fill it, so that a short body reserves no large buffer.
/// - Throws: ``InflateError/tooLarge(limit:)`` by the length at the front; nothing is produced then.
/// - Source: google/snappy format_description.txt.
package func snappyInflated(_ source: UnsafeRawBufferPointer, limit: Int) throws(InflateError) -> [UInt8] {
    var reader = SnappyReader(source)
    guard let length = reader.readLength() else { throw .malformed }
    guard length <= limit else { throw .tooLarge(limit: limit) }
    guard length <= reader.remaining * SnappyReader.largestExpansion else { throw .malformed }
    var isWhole = true
    let output = [UInt8](unsafeUninitializedCapacity: length) { buffer, written in
        isWhole = reader.inflate(into: UnsafeMutableRawBufferPointer(buffer), count: length)
        written = isWhole ? length : 0
    }
    guard isWhole else { throw .malformed }
    return output
}

/// Walks the elements of a block. `offset <= source.count` and `produced <= count` always hold.
private struct SnappyReader {
    /// The shortest copy element of the largest length makes 64 bytes of three.
    static let largestExpansion = 22

    private let source: UnsafeRawBufferPointer
    private var offset = 0

    init(_ source: UnsafeRawBufferPointer) { self.source = source }

    var remaining: Int { source.count - offset }

    /// The varint at the front: at most 32 bits.
    mutating func readLength() -> Int? {
        var value = 0
        for shift in stride(from: 0, through: 28, by: 7) {
            guard offset < source.count else { return nil }
            let byte = Int(source[offset])
            offset += 1
            if shift == 28, byte > 0x0f { return nil }
            value |= (byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    /// - Returns: whether exactly `count` bytes came out of exactly all elements.
    mutating func inflate(into target: UnsafeMutableRawBufferPointer, count: Int) -> Bool {
        var produced = 0
        while offset < source.count {
            let tag = Int(source[offset])
            offset += 1
            let length: Int
            if tag & 3 == 0 {
                guard let size = literalLength(tag), size <= remaining, size <= count - produced else { return false }
                copyLiteral(size, to: target, at: produced)
                length = size
            } else {
                guard let copy = readCopy(tag), copy.back > 0, copy.back <= produced, copy.length <= count - produced
                else { return false }
                repeatBytes(copy.length, back: copy.back, in: target, at: produced)
                length = copy.length
            }
            produced += length
        }
        return produced == count
    }

    private mutating func literalLength(_ tag: Int) -> Int? {
        let short = tag >> 2
        guard short >= 60 else { return short + 1 }
        return readInteger(bytes: short - 59).map { $0 + 1 }
    }

    private mutating func readCopy(_ tag: Int) -> (length: Int, back: Int)? {
        switch tag & 3 {
        case 1: readInteger(bytes: 1).map { (4 + ((tag >> 2) & 7), (tag >> 5) << 8 | $0) }
        case 2: readInteger(bytes: 2).map { ((tag >> 2) + 1, $0) }
        default: readInteger(bytes: 4).map { ((tag >> 2) + 1, $0) }
        }
    }

    private mutating func readInteger(bytes: Int) -> Int? {
        guard bytes <= remaining else { return nil }
        var value = 0
        for position in 0..<bytes { value |= Int(source[offset + position]) << (8 * position) }
        offset += bytes
        return value
    }

    private mutating func copyLiteral(_ size: Int, to target: UnsafeMutableRawBufferPointer, at place: Int) {
        UnsafeMutableRawBufferPointer(rebasing: target[place..<(place + size)])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + size)]))
        offset += size
    }

    private func repeatBytes(_ length: Int, back: Int, in target: UnsafeMutableRawBufferPointer, at place: Int) {
        if back >= length {
            let from = place - back
            UnsafeMutableRawBufferPointer(rebasing: target[place..<(place + length)])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: target[from..<(from + length)]))
            return
        }
        for position in 0..<length { target[place + position] = target[place + position - back] }
    }
}
