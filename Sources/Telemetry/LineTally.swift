internal import Synchronization

/// How many metric lines each receiver has taken, in memory that may outlive the process.
///
/// One page: a header and 63 slots of a cache line each. A slot has one writer, which uses plain stores; the sum is read
/// after that writer is gone. Source: schemas/disk/metrics-log.md, "TALLY".
package final class LineTally: @unchecked Sendable {
    package static let byteCount = 4_096
    private static let magic: UInt64 = 0x594C_5454_5345_5243
    private static let slots = 63

    private let page: UnsafeMutableRawPointer
    private let release: @Sendable (UnsafeMutableRawPointer) -> Void
    private let taken = Atomic<Int>(0)
    /// Slots of receivers beyond the page; what those had taken is not known after a crash.
    private let spare = Mutex<[UInt]>([])
    /// The life that used the page before this one, and the lines it had taken; nil for a new page.
    package let previous: (life: UInt64, lines: UInt64)?

    /// Uses a page of ``byteCount`` bytes at a multiple of 8, given back to `release` at the end.
    package init(
        page: UnsafeMutableRawPointer, release: @escaping @Sendable (UnsafeMutableRawPointer) -> Void
    ) {
        self.page = page
        self.release = release
        if page.load(as: UInt64.self).littleEndian == Self.magic {
            let life = page.load(fromByteOffset: 8, as: UInt64.self).littleEndian
            var lines: UInt64 = 0
            for slot in 1...Self.slots {
                lines &+= page.load(fromByteOffset: slot * 64, as: UInt64.self).littleEndian
            }
            previous = (life, lines)
        } else {
            previous = nil
        }
    }

    /// A page in memory of its own, for when nobody reads it later.
    package convenience init() {
        let page = UnsafeMutableRawPointer.allocate(byteCount: Self.byteCount, alignment: 64)
        page.initializeMemory(as: UInt8.self, repeating: 0, count: Self.byteCount)
        self.init(page: page) { $0.deallocate() }
    }

    deinit {
        for address in spare.withLock({ $0 }) { UnsafeMutablePointer<UInt64>(bitPattern: address)?.deallocate() }
        release(page)
    }

    /// Clears the page for a new life. No receiver may have taken a line yet.
    package func begin(life: UInt64) {
        page.initializeMemory(as: UInt8.self, repeating: 0, count: Self.byteCount)
        page.storeBytes(of: life.littleEndian, toByteOffset: 8, as: UInt64.self)
        page.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
    }

    /// A slot of its own for one more receiver, good for as long as this object.
    package func makeSlot() -> UnsafeMutablePointer<UInt64> {
        let slot = taken.add(1, ordering: .relaxed).newValue
        guard slot <= Self.slots else {
            let unknown = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
            unknown.initialize(to: 0)
            spare.withLock { $0.append(UInt(bitPattern: unknown)) }
            return unknown
        }
        return (page + slot * 64).assumingMemoryBound(to: UInt64.self)
    }
}
