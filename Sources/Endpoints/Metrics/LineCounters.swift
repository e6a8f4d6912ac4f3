internal import Synchronization

/// What the metric receivers count beside the ledger. Every number only grows.
package final class LineCounters: Sendable {
    let events = Atomic<UInt64>(0)
    let serviceChecks = Atomic<UInt64>(0)
    let containerFields = Atomic<UInt64>(0)
    let externalDataFields = Atomic<UInt64>(0)
    let cardinalityFields = Atomic<UInt64>(0)
    let explicitTimestamps = Atomic<UInt64>(0)
    let unknownFields = Atomic<UInt64>(0)
    let ignoredRates = Atomic<UInt64>(0)
    let signedGaugeChanges = Atomic<UInt64>(0)
    let signedGaugeLevels = Atomic<UInt64>(0)
    let keyCacheResets = Atomic<UInt64>(0)
    let deferredWindows = Atomic<UInt64>(0)

    package init() {}
}
