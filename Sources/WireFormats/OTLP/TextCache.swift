/// Remembers texts seen a moment ago in the same body, so that the keys and values every span repeats are neither
/// checked, hashed into a table nor copied again.
///
/// Direct mapped: one slot a hash, the newest text wins. A stranger who aims for one slot only makes the cache useless
/// for his own body. The texts stay where they are in the body, which must outlive the cache.
struct TextCache: ~Copyable {
    /// A text reduced to what comparing it mostly takes.
    struct Fingerprint {
        let text: UnsafeRawPointer
        let count: Int
        let head: UInt64
        let tail: UInt64

        /// - Parameter count: at least 1.
        @inline(__always)
        init(_ text: UnsafeRawPointer, count: Int) {
            self.text = text
            self.count = count
            if count >= 8 {
                head = text.loadUnaligned(as: UInt64.self)
                tail = text.loadUnaligned(fromByteOffset: count &- 8, as: UInt64.self)
            } else if count >= 4 {
                head = UInt64(text.loadUnaligned(as: UInt32.self))
                tail = UInt64(text.loadUnaligned(fromByteOffset: count &- 4, as: UInt32.self))
            } else {
                let middle = UInt64(text.load(fromByteOffset: count >> 1, as: UInt8.self)) &<< 8
                head = UInt64(text.load(as: UInt8.self)) | middle
                tail = UInt64(text.load(fromByteOffset: count &- 1, as: UInt8.self))
            }
        }

        @inline(__always)
        var slot: Int {
            let mixed =
                (head ^ (tail &<< 29 | tail &>> 35) ^ UInt64(truncatingIfNeeded: count)) &* 0x9E37_79B9_7F4A_7C15
            return Int(truncatingIfNeeded: mixed &>> (64 &- TextCache.slotBits))
        }
    }

    private struct Entry {
        var text: UnsafeRawPointer
        var head: UInt64
        var tail: UInt64
        /// Zero in a free slot.
        var count: Int
        var payload: UInt64
    }

    fileprivate static let slotBits: UInt64 = 9
    private let entries: UnsafeMutablePointer<Entry>

    init() {
        let slots = 1 << Int(Self.slotBits)
        entries = .allocate(capacity: slots)
        entries.initialize(
            repeating: Entry(text: UnsafeRawPointer(entries), head: 0, tail: 0, count: 0, payload: 0), count: slots)
    }

    deinit { entries.deallocate() }

    /// What was stored with an equal text, or nil.
    @inline(__always)
    func find(_ wanted: Fingerprint) -> UInt64? {
        let entry = entries + wanted.slot
        guard entry.pointee.count == wanted.count, entry.pointee.head == wanted.head,
            entry.pointee.tail == wanted.tail
        else { return nil }
        // Head and tail cover texts of up to 16 bytes.
        var offset = 8
        while offset < wanted.count &- 8 {
            let left = entry.pointee.text.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
            guard left == wanted.text.loadUnaligned(fromByteOffset: offset, as: UInt64.self) else { return nil }
            offset &+= 8
        }
        return entry.pointee.payload
    }

    @inline(__always)
    mutating func store(_ text: Fingerprint, _ payload: UInt64) {
        entries[text.slot] = Entry(
            text: text.text, head: text.head, tail: text.tail, count: text.count, payload: payload)
    }
}
