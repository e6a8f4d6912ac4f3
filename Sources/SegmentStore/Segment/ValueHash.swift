internal import Telemetry

/// What a block's value filter holds: one hash for each thing that a search may ask of a span.
///
/// Hashes depend on nothing but the bytes, so that they mean the same in every process.
/// Source: schemas/disk/segment.md, "Filters".
enum ValueHash {
    /// Where a value was found; the same value elsewhere has another hash.
    enum Place: UInt64 {
        /// Among a span's own attributes.
        case span = 1
        /// Among the attributes of a resource or an event, or as the name of an event or a scope.
        case other = 2
    }

    /// The forms that values are told apart by.
    enum Form: UInt64 {
        case empty = 0
        case string = 1
        case bool = 2
        case int = 3
        case double = 4
        /// Bytes, arrays, maps and strings that are not plain: the hash stands for all of them.
        case opaque = 5
    }

    /// In a filter when the block has an attribute key that is not plain.
    static let unusualKey: UInt64 = mixed(0x6b65_7900)
    /// In a filter when a service or operation is not plain.
    static let unusualName: UInt64 = mixed(0x6e61_6d65)

    /// Words of eight bytes, little-endian, the last one filled up with zeros.
    @inline(__always)
    static func text(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash = UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15 ^ 0x2545_F491_4F6C_DD1D
        var offset = 0
        while bytes.count - offset >= 8 {
            let word = bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            hash = mixed(hash ^ UInt64(littleEndian: word))
            offset += 8
        }
        var tail: UInt64 = 0
        if offset < bytes.count, offset > 0 {
            let last = bytes.loadUnaligned(fromByteOffset: bytes.count - 8, as: UInt64.self)
            return mixed(hash ^ UInt64(littleEndian: last) >> UInt64(8 * (8 - (bytes.count - offset))))
        }
        while offset < bytes.count {
            tail |= UInt64(bytes[offset]) << UInt64(8 * offset)
            offset += 1
        }
        return mixed(hash ^ tail)
    }

    static func text(_ text: String) -> UInt64 { Array(text.utf8).withUnsafeBytes { Self.text($0) } }

    /// A key in a place; the start of every hash of one of its values.
    @inline(__always)
    static func key(_ key: UInt64, _ place: Place) -> UInt64 { mixed(key &+ place.rawValue) }

    /// A value of a key. `value` is the hash of a string, what an integer column stores, or zero.
    @inline(__always)
    static func value(_ key: UInt64, _ form: Form, _ value: UInt64) -> UInt64 {
        mixed(self.form(key, form) ^ value)
    }

    /// The part of ``value(_:_:_:)`` that is the same for all values of one key and form.
    @inline(__always)
    static func form(_ key: UInt64, _ form: Form) -> UInt64 { mixed(key ^ form.rawValue) }

    @inline(__always)
    static func value(_ form: UInt64, _ value: UInt64) -> UInt64 { mixed(form ^ value) }

    /// An operation of a service, by the hashes of their names.
    @inline(__always)
    static func operation(service: UInt64, name: UInt64) -> UInt64 { mixed(mixed(service ^ 0x6f70) ^ name) }

    /// Something together with an operation, on one span.
    @inline(__always)
    static func together(_ operation: UInt64, _ value: UInt64) -> UInt64 { mixed(operation &* 3 ^ value) }

    /// In the place of a value: the span has status error.
    static let error: UInt64 = mixed(0x6572_726f_7200)

    /// All NaNs are one.
    @inline(__always)
    static func doubleBits(_ bits: UInt64) -> UInt64 {
        Double(bitPattern: bits).isNaN ? Double.nan.bitPattern : bits
    }

    /// Whether texts of these characters are equal only when their bytes are: nothing in them can be composed,
    /// decomposed or stands for another character. ASCII, CJK ideographs and punctuation, full-width forms.
    static func isPlain(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var index = 0
        while bytes.count - index >= 8,
            bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self) & 0x8080_8080_8080_8080 == 0
        { index += 8 }
        while index < bytes.count {
            let first = bytes[index]
            if first < 0x80 {
                index += 1
                continue
            }
            guard first >= 0xE3, first <= 0xEF, index + 2 < bytes.count else { return false }
            let scalar =
                UInt32(first & 0x0F) << 12 | UInt32(bytes[index + 1] & 0x3F) << 6 | UInt32(bytes[index + 2] & 0x3F)
            switch scalar {
            case 0x3000...0x3029, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xFF01...0xFFEE: index += 3
            default: return false
            }
        }
        return true
    }

    static func isPlain(_ text: String) -> Bool { Array(text.utf8).withUnsafeBytes { isPlain($0) } }
}
