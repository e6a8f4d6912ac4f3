internal import CLinux

/// The offset of the first byte that is not well-formed UTF-8 (no overlong forms, no surrogates), or nil when all is.
///
/// ASCII is passed 16 bytes at a time.
/// Source: the Unicode Standard, table 3-7.
package func invalidUTF8Offset(_ bytes: UnsafeRawBufferPointer) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    let start = base.assumingMemoryBound(to: UInt8.self)
    var index = 0
    while index < bytes.count {
        if bytes.count - index >= 16 {
            let mask = clinux_high_bits16(start + index)
            if mask == 0 {
                index += 16
                continue
            }
            index += mask.trailingZeroBitCount
        } else if bytes[index] < 0x80 {
            index += 1
            continue
        }
        guard let next = endOfUTF8Sequence(bytes, at: index) else { return index }
        index = next
    }
    return nil
}

/// The offset behind the well-formed sequence of one scalar that starts at `index`, or nil when there is none.
///
/// - Parameter index: below `bytes.count`.
package func endOfUTF8Sequence(_ bytes: UnsafeRawBufferPointer, at index: Int) -> Int? {
    let lead = bytes[index]
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch lead {
    case 0..<0x80: return index + 1
    case 0xc2...0xdf: length = 2
    case 0xe0: (length, second) = (3, 0xa0...0xbf)
    case 0xed: (length, second) = (3, 0x80...0x9f)
    case 0xe1...0xef: length = 3
    case 0xf0: (length, second) = (4, 0x90...0xbf)
    case 0xf4: (length, second) = (4, 0x80...0x8f)
    case 0xf1...0xf3: length = 4
    default: return nil
    }
    guard bytes.count - index >= length, second.contains(bytes[index + 1]) else { return nil }
    for position in (index + 2)..<(index + max(length, 2)) {
        guard bytes[position] & 0xc0 == 0x80 else { return nil }
    }
    return index + length
}
