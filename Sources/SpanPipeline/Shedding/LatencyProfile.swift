internal import Telemetry

/// How long the entry spans of one service have lately taken: counts in buckets a quarter of an octave wide.
///
/// Counts are halved whenever there are ``fullCount``, so that what is long ago fades.
struct LatencyProfile {
    private static let bucketCount = 252
    private static let fullCount: UInt32 = 8_192
    /// Fewer say nothing about a 99th percentile.
    private static let leastCount: UInt32 = 128
    /// Spans between two looks at the counts.
    private static let lookEvery: UInt32 = 64

    private var counts = [UInt32](repeating: 0, count: LatencyProfile.bucketCount)
    private var total: UInt32 = 0
    private var sinceLook: UInt32 = 0
    /// Longer ones are beyond the bucket of the 99th percentile: at most one in a hundred.
    private(set) var slowAbove = UInt64.max
    /// Shorter ones are below the bucket of the median: at most every other one.
    private(set) var fastBelow: UInt64 = 0

    mutating func add(_ nanoseconds: UInt64) {
        counts[Self.bucket(nanoseconds)] += 1
        total += 1
        sinceLook += 1
        if sinceLook >= Self.lookEvery { look() }
    }

    private mutating func look() {
        sinceLook = 0
        if total >= Self.fullCount { halve() }
        guard total >= Self.leastCount else { return }
        var below: UInt32 = 0
        var isMedianFound = false
        for (bucket, count) in counts.enumerated() where count > 0 {
            below += count
            if !isMedianFound, below * 2 >= total {
                fastBelow = Self.lowest(bucket)
                isMedianFound = true
            }
            if below >= total - total / 100 {
                slowAbove = bucket + 1 < Self.bucketCount ? Self.lowest(bucket + 1) &- 1 : .max
                return
            }
        }
    }

    private mutating func halve() {
        total = 0
        for bucket in counts.indices {
            counts[bucket] /= 2
            total += counts[bucket]
        }
    }

    static func bucket(_ value: UInt64) -> Int {
        guard value >= 4 else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount
        return 4 * (exponent - 1) + Int(value >> UInt64(exponent - 2) & 3)
    }

    /// The smallest value of a bucket.
    static func lowest(_ bucket: Int) -> UInt64 {
        guard bucket >= 4 else { return UInt64(bucket) }
        return UInt64(4 + bucket % 4) << UInt64(bucket / 4 - 1)
    }
}

/// The profiles of many services. When one more finds no room, all are learned anew.
struct LatencyProfiles {
    private var indices: [UInt64: Int] = [:]
    private var profiles: [LatencyProfile] = []
    private let limit: Int
    private var last: (service: UInt64, index: Int)?

    init(limit: Int = Limits.latencyProfiles) { self.limit = limit }

    /// How an entry span of a service compares with those before it; counts it as well.
    mutating func judge(_ nanoseconds: UInt64, of service: UInt64) -> (isSlow: Bool, isFast: Bool) {
        let index = index(of: service)
        let isSlow = nanoseconds > profiles[index].slowAbove
        let isFast = nanoseconds < profiles[index].fastBelow
        profiles[index].add(nanoseconds)
        return (isSlow, isFast)
    }

    private mutating func index(of service: UInt64) -> Int {
        if let last, last.service == service { return last.index }
        let index = indices[service] ?? add(service)
        last = (service, index)
        return index
    }

    private mutating func add(_ service: UInt64) -> Int {
        if profiles.count >= limit {
            indices.removeAll(keepingCapacity: true)
            profiles.removeAll(keepingCapacity: true)
        }
        profiles.append(LatencyProfile())
        indices[service] = profiles.count - 1
        return profiles.count - 1
    }
}
