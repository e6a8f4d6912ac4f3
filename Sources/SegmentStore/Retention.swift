/// Tells how far the wall clock can be believed, so that a clock step never removes anything.
///
/// A step forward of more than an hour (a wrong clock, or a long stop) has to be confirmed: three more sightings, each
/// at least ten minutes after the one before. A step back of more than five minutes pauses until the clock is back.
package struct RetentionClock: Sendable {
    /// The latest wall time believed, unix nanoseconds. Never goes back.
    package private(set) var highWater: UInt64
    private var doubted: UInt64?
    private var confirmations = 0

    private static let minute: UInt64 = 60 * 1_000_000_000
    private static let stepForward = 60 * minute
    private static let stepBack = 5 * minute
    private static let confirmationSpacing = 10 * minute
    private static let confirmationsWanted = 3

    /// - Parameter highWater: the mark of the manifest; zero in a new directory, where any first time is believed.
    package init(highWater: UInt64) { self.highWater = highWater }

    /// Takes a look at the wall clock and returns the time by which to judge ages; nil while in doubt.
    package mutating func observe(_ wall: UInt64) -> UInt64? {
        if highWater == 0 || (wall >= highWater && wall - highWater <= Self.stepForward) {
            doubted = nil
            highWater = wall
            return wall
        }
        if wall < highWater {
            doubted = nil
            return highWater - wall <= Self.stepBack ? highWater : nil
        }
        return confirm(wall)
    }

    private mutating func confirm(_ wall: UInt64) -> UInt64? {
        guard let last = doubted, wall >= last, wall - last <= Self.stepForward else {
            doubted = wall
            confirmations = 0
            return nil
        }
        guard wall - last >= Self.confirmationSpacing else { return nil }
        doubted = wall
        confirmations += 1
        guard confirmations >= Self.confirmationsWanted else { return nil }
        doubted = nil
        highWater = wall
        return wall
    }
}

extension RetentionPolicy {
    /// How long a head may take spans when `general` is the usual time: only segments are removed, so a head must be
    /// sealed well before its spans are too old.
    func headAge(_ general: UInt64) -> UInt64 {
        age.map { min(general, max(1_000_000_000, $0 / 4)) } ?? general
    }

    /// How large a head may become when `general` is the usual size: its rows and its WAL count too.
    func headBytes(_ general: Int) -> Int {
        bytes.map { min(general, max(64 << 10, Int(clamping: $0 / 4))) } ?? general
    }

    /// The ids of the segments to remove, oldest arrival first.
    ///
    /// - Parameters:
    ///   - otherBytes: what the byte limit covers besides the segments.
    ///   - trusted: see ``RetentionClock``; nil: nothing is too old.
    ///   - byteLimit: `bytes`, or what stands for it on this file system.
    package func expired(
        among segments: [ManifestSegment], otherBytes: UInt64, trusted: UInt64?, byteLimit: UInt64
    ) -> [UInt64] {
        var kept = segments.reduce(otherBytes) { $0 &+ $1.byteCount }
        var victims: [UInt64] = []
        for segment in segments.sorted(by: { ($0.latestArrival, $0.id) < ($1.latestArrival, $1.id) }) {
            let isOld = age.map { age in
                trusted.map { $0 > segment.latestArrival && $0 - segment.latestArrival > age } ?? false
            }
            guard isOld == true || kept > byteLimit else { continue }
            victims.append(segment.id)
            kept -= min(kept, segment.byteCount)
        }
        return victims
    }
}
