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
