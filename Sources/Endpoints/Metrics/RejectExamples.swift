internal import Synchronization
internal import Telemetry

/// The last line rejected for each reason, cut to `Limits.rejectExampleBytes`. Receivers give at most one a reason each
/// time they write their counters, so a flood of bad lines costs them nothing.
package final class RejectExamples: Sendable {
    struct Example: Sendable {
        var line: [UInt8]
        /// Bytes of the whole line.
        var lineBytes: Int
        /// Unix time.
        var seenNanoseconds: UInt64
    }

    private let examples = Mutex<[LineRejection: Example]>([:])
    private let now: @Sendable () -> UInt64

    /// - Parameter now: Unix time in nanoseconds.
    package init(now: @escaping @Sendable () -> UInt64 = { 0 }) { self.now = now }

    func note(_ line: UnsafeRawBufferPointer, _ reason: LineRejection) {
        let example = Example(
            line: Array(line.prefix(Limits.rejectExampleBytes)), lineBytes: line.count, seenNanoseconds: now())
        examples.withLock { $0[reason] = example }
    }

    subscript(_ reason: LineRejection) -> Example? { examples.withLock { $0[reason] } }
}
