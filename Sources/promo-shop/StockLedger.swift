internal import Synchronization

/// What is left of each product. Checking and deducting happen under one lock, so that a product can never be
/// sold more often than it was there.
final class StockLedger: Sendable {
    private struct Shelf {
        var remaining: Int
        /// Remaining as a reader without the lock saw it a moment ago; only `reserveUnchecked` believes it.
        var stale: Int
        var readersUntilFresh = 0
    }

    enum Outcome {
        case reserved(remaining: Int)
        case soldOut
    }

    private let shelves: Mutex<[Shelf]>

    init(_ amounts: [Int]) {
        shelves = Mutex(amounts.map { Shelf(remaining: $0, stale: $0) })
    }

    func remaining(_ product: Int) -> Int { shelves.withLock { $0[product].remaining } }

    /// Takes one piece if there is one.
    func reserve(_ product: Int) -> Outcome {
        shelves.withLock { shelves in
            guard shelves[product].remaining > 0 else { return .soldOut }
            shelves[product].remaining -= 1
            return .reserved(remaining: shelves[product].remaining)
        }
    }

    /// The bug that the lock prevents, for `--oversell`: decides by what it read some requests ago, then deducts.
    func reserveUnchecked(_ product: Int) -> Outcome {
        shelves.withLock { shelves in
            if shelves[product].readersUntilFresh == 0 {
                shelves[product].stale = shelves[product].remaining
                shelves[product].readersUntilFresh = 8
            }
            shelves[product].readersUntilFresh -= 1
            guard shelves[product].stale > 0 else { return .soldOut }
            shelves[product].remaining -= 1
            return .reserved(remaining: shelves[product].remaining)
        }
    }

    /// Puts one piece back after a failed payment.
    func release(_ product: Int) { shelves.withLock { $0[product].remaining += 1 } }
}
