package import Telemetry

/// The orders of a search. Both are total: ties are broken by the trace id, ascending.
package enum TraceOrder: UInt8, CaseIterable, Sendable {
    /// By the earliest start of any span of the trace, latest first.
    case newestFirst = 1
    /// By the time from the earliest start to the latest end, longest first.
    case longestFirst = 2

    /// The position of a trace in an order.
    package struct Key: Hashable, Sendable {
        /// Unix nanoseconds or nanoseconds; larger comes first.
        package var value: UInt64
        package var traceID: TraceID

        package init(value: UInt64, traceID: TraceID) {
            self.value = value
            self.traceID = traceID
        }

        package func precedes(_ other: Key) -> Bool {
            value != other.value ? value > other.value : traceID < other.traceID
        }
    }

    package func key(of extent: TraceExtent) -> Key {
        switch self {
        case .newestFirst: Key(value: extent.start, traceID: extent.traceID)
        case .longestFirst: Key(value: extent.duration, traceID: extent.traceID)
        }
    }
}
