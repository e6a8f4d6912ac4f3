package import Telemetry

/// A pinned trace, as the daemon tells it.
package struct PinFacts: Hashable, Sendable {
    package var traceID: TraceID
    package var createdUnixNano: UInt64

    package init(traceID: TraceID, createdUnixNano: UInt64) {
        self.traceID = traceID
        self.createdUnixNano = createdUnixNano
    }
}

/// Why a pin was not set or taken out.
package enum PinRefusal: Error, Hashable, Sendable {
    case unknown
    /// As many pins, or as many bytes of pinned traces, as may be; the text says which.
    case full(String)
    /// May work later.
    case busy(String)
    case failed(String)
}

/// The segments of one retention class in numbers.
package struct ClassFacts: Hashable, Sendable {
    package var name: String
    package var segments: Int
    package var spans: UInt64
    package var bytes: UInt64

    package init(name: String, segments: Int, spans: UInt64, bytes: UInt64) {
        self.name = name
        self.segments = segments
        self.spans = spans
        self.bytes = bytes
    }
}
