/// A fixed list of `le` bounds, counted exactly beside the exponential buckets.
///
/// Source: OpenTelemetry semantic conventions, `http.server.request.duration` bucket advice, for durations.
package enum ClassicBuckets: UInt8, CaseIterable, Sendable {
    /// Seconds, 5 ms to 10 s.
    case durations
    /// No unit known: 1-2.5-5 steps over six decades.
    case wide

    /// Upper bounds, inclusive and ascending, without `+Inf`.
    package var bounds: [Double] {
        switch self {
        case .durations: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
        case .wide:
            [
                0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000,
            ]
        }
    }

    /// Bounds of every layout and the bucket above them.
    static let largestCount = 24
}

/// The bounds of all layouts in memory that never moves or goes away.
struct ClassicBounds: @unchecked Sendable {
    static let shared = ClassicBounds()

    private let bounds: UnsafeMutablePointer<Double>
    private let counts: UnsafeMutablePointer<Int>

    private init() {
        let layouts = ClassicBuckets.allCases
        bounds = .allocate(capacity: layouts.count * ClassicBuckets.largestCount)
        bounds.initialize(repeating: .infinity, count: layouts.count * ClassicBuckets.largestCount)
        counts = .allocate(capacity: layouts.count)
        for layout in layouts {
            let list = layout.bounds.prefix(ClassicBuckets.largestCount - 1)
            counts[Int(layout.rawValue)] = list.count
            for (index, bound) in list.enumerated() {
                bounds[Int(layout.rawValue) * ClassicBuckets.largestCount + index] = bound
            }
        }
    }

    /// How many buckets a layout has, the one above all bounds included.
    @inline(__always)
    func bucketCount(_ layout: Int) -> Int { counts[layout] &+ 1 }

    /// The first bucket whose bound is not below `value`.
    @inline(__always)
    func index(of value: Double, layout: Int) -> Int {
        let first = bounds + layout &* ClassicBuckets.largestCount
        var index = 0
        for position in 0..<counts[layout] where value > first[position] { index &+= 1 }
        return index
    }
}
