/// One histogram series' open second inside a shard.
struct HistogramWindow: ~Copyable {
    var sum = 0.0
    var least = Double.infinity
    var greatest = -Double.infinity
    /// What one in `classic` and `buckets` stands for: the weight of all observations as long as they have the same, so
    /// that they are counted and not added up; 0 before the first.
    private(set) var unit = 0.0
    let classic: UnsafeMutablePointer<Double>
    var buckets: ExponentialBuckets

    init(slots: Int) {
        classic = .allocate(capacity: ClassicBuckets.largestCount)
        classic.initialize(repeating: 0, count: ClassicBuckets.largestCount)
        buckets = ExponentialBuckets(slots: slots)
    }

    deinit { classic.deallocate() }

    /// What to add for an observation whose weight is not the unit.
    @inline(never)
    mutating func addend(for weight: Double) -> Double {
        if unit == 0 {
            unit = weight
            return 1
        }
        if unit != 1 {
            let (classic, factor) = (classic, unit)  // see ShardCore.countLine
            for bucket in 0..<ClassicBuckets.largestCount { classic[bucket] *= factor }
            buckets.scale(by: unit)
            unit = 1
        }
        return weight
    }

    mutating func clear() {
        sum = 0
        least = .infinity
        greatest = -.infinity
        unit = 0
        classic.update(repeating: 0, count: ClassicBuckets.largestCount)
        buckets.clear()
    }
}

/// Windows that are not in use, by the size of their tables, so that a second that looks like the last allocates none.
struct HistogramWindowPool: ~Copyable {
    private static let smallest = 3
    private static let classes = 10
    /// Windows of one size beyond this many go back to the system.
    private static let largestSpare = 16_384

    private var spare: [[UnsafeMutablePointer<HistogramWindow>]]

    init() { spare = Array(repeating: [], count: Self.classes) }

    deinit {
        for window in spare.joined() {
            window.deinitialize(count: 1)
            window.deallocate()
        }
    }

    /// An empty window with at least two to the power of `hint` slots.
    mutating func take(hint: Int) -> UnsafeMutablePointer<HistogramWindow> {
        let size = min(max(hint - Self.smallest, 0), Self.classes - 1)
        if let window = spare[size].popLast() { return window }
        let window = UnsafeMutablePointer<HistogramWindow>.allocate(capacity: 1)
        window.initialize(to: HistogramWindow(slots: 1 << (size + Self.smallest)))
        return window
    }

    /// Takes a window back and returns the hint to ask with next time.
    mutating func put(_ window: UnsafeMutablePointer<HistogramWindow>) -> Int {
        let hint = window.pointee.buckets.slots.trailingZeroBitCount
        let size = min(max(hint - Self.smallest, 0), Self.classes - 1)
        if spare[size].count < Self.largestSpare >> size {
            window.pointee.clear()
            spare[size].append(window)
        } else {
            window.deinitialize(count: 1)
            window.deallocate()
        }
        return hint
    }
}
