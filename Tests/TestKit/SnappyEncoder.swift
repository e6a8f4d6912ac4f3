/// Makes snappy blocks: copies of all three forms where four bytes repeat, literals of every length form. For tests.
package enum SnappyEncoder {
    package static func encode(_ source: [UInt8]) -> [UInt8] {
        var block: [UInt8] = []
        var length = source.count
        while length >= 0x80 {
            block.append(UInt8(length & 0x7f) | 0x80)
            length >>= 7
        }
        block.append(UInt8(length))
        var seen: [ArraySlice<UInt8>: Int] = [:]
        var literal = 0
        var index = 0
        while index + 4 <= source.count {
            let word = source[index..<(index + 4)]
            guard let earlier = seen.updateValue(index, forKey: word) else {
                index += 1
                continue
            }
            appendLiteral(source[literal..<index], to: &block)
            var matched = 4
            while matched < 64, index + matched < source.count, source[earlier + matched] == source[index + matched] {
                matched += 1
            }
            appendCopy(matched, back: index - earlier, to: &block)
            index += matched
            literal = index
        }
        appendLiteral(source[literal...], to: &block)
        return block
    }

    package static func appendLiteral(_ bytes: ArraySlice<UInt8>, to block: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        let size = bytes.count - 1
        if size < 60 {
            block.append(UInt8(size << 2))
        } else {
            let width = size < 1 << 8 ? 1 : size < 1 << 16 ? 2 : size < 1 << 24 ? 3 : 4
            block.append(UInt8((59 + width) << 2))
            for position in 0..<width { block.append(UInt8(truncatingIfNeeded: size >> (8 * position))) }
        }
        block.append(contentsOf: bytes)
    }

    /// - Parameter length: 4...64.
    package static func appendCopy(_ length: Int, back: Int, to block: inout [UInt8]) {
        if length <= 11, back < 2_048 {
            block.append(UInt8((back >> 8) << 5 | (length - 4) << 2 | 1))
            block.append(UInt8(back & 0xff))
            return
        }
        let width = back < 1 << 16 ? 2 : 4
        block.append(UInt8((length - 1) << 2 | (width == 2 ? 2 : 3)))
        for position in 0..<width { block.append(UInt8(truncatingIfNeeded: back >> (8 * position))) }
    }
}
