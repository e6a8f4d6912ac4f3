internal import Glibc

/// Counts distinct 64-bit hashes: exactly up to 256, then by HyperLogLog with 2^14 registers (0.8 % standard error).
///
/// Source: Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", improved raw estimator.
struct DistinctSet: Sendable {
    static let exactLimit = 256
    private static let precision: UInt64 = 14

    /// Ascending while exact; empty afterwards.
    private var exact: [UInt64] = []
    private var registers: [UInt8] = []

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
        } else {
            becomeApproximate()
            record(hash)
        }
    }

    mutating func merge(_ other: DistinctSet) {
        if other.registers.isEmpty {
            for hash in other.exact { insert(hash) }
            return
        }
        becomeApproximate()
        for index in registers.indices { registers[index] = max(registers[index], other.registers[index]) }
    }

    private mutating func becomeApproximate() {
        guard registers.isEmpty else { return }
        registers = [UInt8](repeating: 0, count: 1 << Self.precision)
        for hash in exact { record(hash) }
        exact = []
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
