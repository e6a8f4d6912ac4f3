internal import Synchronization

/// A ring of closed windows from one shard to the engine: one producer, one consumer, no lock.
///
/// The producer owns `tail`, the consumer owns `head`; they stand on cache lines of their own. Each window in the
/// ring is retained by it.
final class WindowQueue: @unchecked Sendable {
    private typealias Line = (Int, Int, Int, Int, Int, Int, Int, Int)

    private let slots: UnsafeMutablePointer<ClosedWindow?>
    private let mask: Int
    private let paddingBeforeTail: Line = (0, 0, 0, 0, 0, 0, 0, 0)
    private let tail = Atomic<Int>(0)
    private let paddingBetween: Line = (0, 0, 0, 0, 0, 0, 0, 0)
    private let head = Atomic<Int>(0)
    private let paddingAfterHead: Line = (0, 0, 0, 0, 0, 0, 0, 0)

    /// - Parameter capacityLog2: the ring holds two to this power of windows.
    init(capacityLog2: Int = 4) {
        let capacity = 1 << capacityLog2
        mask = capacity - 1
        slots = .allocate(capacity: capacity)
        slots.initialize(repeating: nil, count: capacity)
    }

    deinit {
        slots.deinitialize(count: mask + 1)
        slots.deallocate()
    }

    /// Producer only: whether ``push(_:)`` would succeed now.
    var hasRoom: Bool {
        tail.load(ordering: .relaxed) - head.load(ordering: .acquiring) <= mask
    }

    /// Producer only. Returns false, and takes nothing, when the ring is full.
    func push(_ window: ClosedWindow) -> Bool {
        guard hasRoom else { return false }
        let position = tail.load(ordering: .relaxed)
        slots[position & mask] = window
        tail.store(position + 1, ordering: .releasing)
        return true
    }

    /// Consumer only: the oldest window, or nil when there is none.
    func pop() -> ClosedWindow? {
        let position = head.load(ordering: .relaxed)
        guard position < tail.load(ordering: .acquiring) else { return nil }
        let window = slots[position & mask]
        slots[position & mask] = nil
        head.store(position + 1, ordering: .releasing)
        return window
    }
}
