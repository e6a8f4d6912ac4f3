internal import Glibc
internal import Synchronization

/// How many sketches an engine may hold at once. Sets hand their ticket back when the last copy of them is gone.
final class SketchBudget: Sendable {
    final class Ticket: Sendable {
        private let budget: SketchBudget

        init(_ budget: SketchBudget) { self.budget = budget }

        deinit { budget.count.subtract(1, ordering: .relaxed) }
    }

    private let limit: Int
    private let count = Atomic<Int>(0)
    private let untaken = Atomic<UInt64>(0)

    init(limit: Int) { self.limit = limit }

    var alive: Int { count.load(ordering: .relaxed) }
    var untakenMembers: UInt64 { untaken.load(ordering: .relaxed) }

    /// Nil when all are in use.
    func take() -> Ticket? {
        let (_, now) = count.add(1, ordering: .relaxed)
        let ticket = Ticket(self)
        return now <= limit ? ticket : nil
    }

    func noteUntaken() { untaken.add(1, ordering: .relaxed) }
}

/// Counts distinct 64-bit hashes: exactly up to 256, then by HyperLogLog with 2^14 registers (0.8 % standard error).
///
/// A set that may have no sketch stays at its 256 members, and those it did not take are counted by the budget.
/// Source: Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", improved raw estimator.
struct DistinctSet: Sendable {
    static let exactLimit = 256
    private static let precision: UInt64 = 14

    /// Ascending while exact; empty afterwards.
    private var exact: [UInt64] = []
    private var registers: [UInt8] = []
    /// Nil: as many sketches as wanted.
    private var budget: SketchBudget?
    private var ticket: SketchBudget.Ticket?

    init(_ budget: SketchBudget? = nil) { self.budget = budget }

    /// For a short-lived union: it asks the budget for nothing.
    mutating func becomeScratch() { budget = nil }

    var isEmpty: Bool { exact.isEmpty && registers.isEmpty }

    mutating func insert(_ hash: UInt64) {
        if !registers.isEmpty { return record(hash) }
        var low = 0
        var high = exact.count
        while low < high {
            let middle = (low + high) / 2
            if exact[middle] < hash { low = middle + 1 } else { high = middle }
        }
        if low < exact.count, exact[low] == hash { return }
        if exact.count < Self.exactLimit {
            exact.insert(hash, at: low)
        } else if becomeApproximate() {
            record(hash)
        } else {
            budget?.noteUntaken()
        }
    }

    mutating func merge(_ other: DistinctSet) {
        if other.registers.isEmpty {
            for hash in other.exact { insert(hash) }
            return
        }
        if registers.isEmpty, budget != nil {
            // The other's sketch and its ticket are taken over, so no new one is needed.
            let mine = exact
            self = other
            for hash in mine { record(hash) }
            return
        }
        _ = becomeApproximate()
        for index in registers.indices { registers[index] = max(registers[index], other.registers[index]) }
    }

    /// Returns false when there may be no further sketch.
    private mutating func becomeApproximate() -> Bool {
        guard registers.isEmpty else { return true }
        if let budget {
            guard let granted = budget.take() else { return false }
            ticket = granted
        }
        registers = [UInt8](repeating: 0, count: 1 << Self.precision)
        for hash in exact { record(hash) }
        exact = []
        return true
    }

    private mutating func record(_ hash: UInt64) {
        let index = Int(truncatingIfNeeded: hash >> (64 - Self.precision))
        let rest = hash << Self.precision | 1 << (Self.precision - 1)
        registers[index] = max(registers[index], UInt8(truncatingIfNeeded: rest.leadingZeroBitCount + 1))
    }

    /// The number of distinct hashes; a whole number.
    var count: Double {
        guard !registers.isEmpty else { return Double(exact.count) }
        let widest = 64 - Int(Self.precision)
        var histogram = [Double](repeating: 0, count: widest + 2)
        for register in registers { histogram[Int(register)] += 1 }
        let size = Double(registers.count)
        var sum = size * tau(1 - histogram[widest + 1] / size)
        for rank in stride(from: widest, through: 1, by: -1) { sum = 0.5 * (sum + histogram[rank]) }
        sum += size * sigma(histogram[0] / size)
        return (size * size / (2 * log(2.0) * sum)).rounded()
    }

    private func sigma(_ start: Double) -> Double {
        if start == 1 { return .infinity }
        var power = start
        var factor = 1.0
        var sum = start
        while true {
            power *= power
            let before = sum
            sum += power * factor
            factor += factor
            if sum == before { return sum }
        }
    }

    private func tau(_ start: Double) -> Double {
        if start == 0 || start == 1 { return 0 }
        var root = start
        var factor = 1.0
        var sum = 1 - start
        while true {
            root = root.squareRoot()
            let before = sum
            factor *= 0.5
            sum -= (1 - root) * (1 - root) * factor
            if sum == before { return sum / 3 }
        }
    }
}
