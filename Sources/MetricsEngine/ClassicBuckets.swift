internal import Synchronization
internal import Telemetry

/// A fixed list of `le` bounds, counted exactly beside the exponential buckets.
///
/// Two lists are built in; mapping files add others, which are numbered in the order they come.
/// Source: OpenTelemetry semantic conventions, `http.server.request.duration` bucket advice, for durations.
package struct ClassicBuckets: RawRepresentable, Hashable, Sendable {
    package let rawValue: UInt8

    /// Nil for a number that no list has.
    package init?(rawValue: UInt8) {
        guard Int(rawValue) < ClassicBounds.shared.layoutCount else { return nil }
        self.rawValue = rawValue
    }

    private init(known rawValue: UInt8) { self.rawValue = rawValue }

    /// Seconds, 5 ms to 10 s.
    package static let durations = ClassicBuckets(known: 0)
    /// No unit known: 1-2.5-5 steps over six decades.
    package static let wide = ClassicBuckets(known: 1)

    /// The list with exactly these bounds, made on first sight.
    /// - Parameter bounds: finite and ascending, at most `Limits.bucketsPerHistogram`.
    /// - Parameter reserve: lists that must stay free for others when this one is new.
    /// - Returns: nil when there are too many bounds or too many lists.
    package static func of(_ bounds: [Double], reserve: Int = 0) -> ClassicBuckets? {
        ClassicBounds.shared.number(of: bounds, reserve: reserve).map { ClassicBuckets(known: UInt8($0)) }
    }

    /// The list with these bounds, when there is one.
    static func known(_ bounds: [Double]) -> ClassicBuckets? {
        ClassicBounds.shared.number(of: bounds, makes: false).map { ClassicBuckets(known: UInt8($0)) }
    }

    var isBuiltIn: Bool { rawValue <= Self.wide.rawValue }

    /// Upper bounds, inclusive and ascending, without `+Inf`.
    package var bounds: [Double] { ClassicBounds.shared.bounds(Int(rawValue)) }

    /// Bounds of every layout and the bucket above them.
    static let largestCount = Limits.bucketsPerHistogram + 1
    /// Lists in all; more: the list of the unit is used instead.
    static let layouts = 64
    /// Of these, lists that senders cannot take, so that mapping files find room.
    static let reservedLayouts = 24
}

/// The bounds of all layouts in memory that never moves or goes away. A layout is complete before anyone learns of its
/// number, and never changes, so it is read without a lock.
struct ClassicBounds: @unchecked Sendable {
    static let shared = ClassicBounds()

    private static let builtIn: [[Double]] = [
        [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10],
        [
            0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
        ],
    ]

    private let table: UnsafeMutablePointer<Double>
    private let counts: UnsafeMutablePointer<Int>
    private let known = LayoutCount()

    private final class LayoutCount: Sendable {
        let value = Mutex(0)
    }

    private init() {
        let slots = ClassicBuckets.layouts * ClassicBuckets.largestCount
        table = .allocate(capacity: slots)
        table.initialize(repeating: .infinity, count: slots)
        counts = .allocate(capacity: ClassicBuckets.layouts)
        counts.initialize(repeating: 0, count: ClassicBuckets.layouts)
        for list in Self.builtIn { _ = number(of: list) }
    }

    var layoutCount: Int { known.value.withLock { $0 } }

    func number(of list: [Double], makes: Bool = true, reserve: Int = 0) -> Int? {
        guard list.count < ClassicBuckets.largestCount else { return nil }
        return known.value.withLock { count in
            if let number = (0..<count).first(where: { bounds($0) == list }) { return number }
            guard makes, count < ClassicBuckets.layouts - reserve else { return nil }
            for (index, bound) in list.enumerated() { table[count * ClassicBuckets.largestCount + index] = bound }
            counts[count] = list.count
            count += 1
            return count - 1
        }
    }

    func bounds(_ layout: Int) -> [Double] {
        Array(UnsafeBufferPointer(start: table + layout * ClassicBuckets.largestCount, count: counts[layout]))
    }

    /// How many buckets a layout has, the one above all bounds included.
    @inline(__always)
    func bucketCount(_ layout: Int) -> Int { counts[layout] &+ 1 }

    /// The first bucket whose bound is not below `value`.
    @inline(__always)
    func index(of value: Double, layout: Int) -> Int {
        let first = table + layout &* ClassicBuckets.largestCount
        var index = 0
        for position in 0..<counts[layout] where value > first[position] { index &+= 1 }
        return index
    }
}
