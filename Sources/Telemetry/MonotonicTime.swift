/// Nanoseconds since some moment of this process; never goes back.
package enum MonotonicTime {
    private static let origin = ContinuousClock.now

    package static func now() -> UInt64 {
        let elapsed = (ContinuousClock.now - origin).components
        return UInt64(truncatingIfNeeded: elapsed.seconds &* 1_000_000_000 &+ elapsed.attoseconds / 1_000_000_000)
    }
}
