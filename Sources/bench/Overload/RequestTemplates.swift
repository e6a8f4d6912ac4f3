internal import Telemetry

/// Recorded request bodies, ready to be sent over and over: encoded once, and each time around the ids of their
/// traces are patched in place, so that a request costs the sender little more than its `send`.
///
/// The request `number` is the message `number % count` in the round `number / count`. All parts of a trace that a
/// round sends get the same new id.
final class RequestTemplates {
    private struct Message {
        var bytes: [UInt8]
        var places: [SpanPlaces.Occurrence]
        var spans: [TraceID]
        var errors: [TraceID]
    }

    private var messages: [Message] = []
    private let salt: UInt64
    /// Traces of one round, each with its spans and whether one of them failed.
    private(set) var traces: [TraceID: (spans: Int, isError: Bool)] = [:]
    let spanCount: Int
    let largest: Int
    var count: Int { messages.count }

    /// - Parameters:
    ///   - token: goes with every request; empty: none.
    ///   - salt: keeps the ids of several senders apart.
    ///   - errorShare: of the traces; failures beyond it are made to be none. Nil: as recorded.
    init(_ bodies: [[UInt8]], token: String = "", salt: UInt64 = 0, errorShare: Double? = nil) {
        self.salt = salt
        let places = bodies.map { SpanPlaces($0) }
        let failed = Self.failedTraces(places, share: errorShare)
        for (body, place) in zip(bodies, places) {
            messages.append(Self.message(body, place, failed, token))
            for span in place.spans {
                traces[span.traceID, default: (0, false)].spans += 1
                if failed.contains(span.traceID) { traces[span.traceID]?.isError = true }
            }
        }
        spanCount = messages.reduce(0) { $0 + $1.spans.count }
        largest = messages.reduce(0) { max($0, $1.bytes.count) }
    }

    /// The traces with a failed span; of them evenly so many as make the share of all traces.
    private static func failedTraces(_ places: [SpanPlaces], share: Double?) -> Set<TraceID> {
        let spans = places.flatMap(\.spans)
        let failed = Set(spans.lazy.filter(\.isError).map(\.traceID))
        guard let share else { return failed }
        let wanted = max(1, Int(Double(Set(spans.map(\.traceID)).count) * share))
        let sorted = failed.sorted { ($0.high, $0.low) < ($1.high, $1.low) }
        guard sorted.count > wanted else { return failed }
        return Set((0..<wanted).map { sorted[$0 * sorted.count / wanted] })
    }

    private static func message(
        _ body: [UInt8], _ places: SpanPlaces, _ failed: Set<TraceID>, _ token: String
    ) -> Message {
        var head = "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        if !token.isEmpty { head += "Authorization: Bearer \(token)\r\n" }
        head += "Content-Length: \(body.count)\r\n\r\n"
        var bytes = Array(head.utf8)
        let start = bytes.count
        bytes += body
        var errors: [TraceID] = []
        for span in places.spans where span.isError {
            if failed.contains(span.traceID) {
                errors.append(span.traceID)
            } else if let offset = span.statusOffset {
                bytes[start + offset] = 0
            }
        }
        let occurrences = places.occurrences.map {
            SpanPlaces.Occurrence(offset: start + $0.offset, traceID: $0.traceID)
        }
        return Message(bytes: bytes, places: occurrences, spans: places.spans.map(\.traceID), errors: errors)
    }

    /// The bytes of a request. They are ours again when `use` returns.
    func withMessage<Result>(_ number: Int, _ use: (UnsafeRawBufferPointer) -> Result) -> Result {
        let index = number % messages.count
        let key = key(round: number / messages.count)
        let places = messages[index].places
        return messages[index].bytes.withUnsafeMutableBytes { bytes in
            for place in places {
                bytes.storeBytes(
                    of: (place.traceID.high ^ key.high).bigEndian, toByteOffset: place.offset, as: UInt64.self)
                bytes.storeBytes(
                    of: (place.traceID.low ^ key.low).bigEndian, toByteOffset: place.offset + 8, as: UInt64.self)
            }
            return use(UnsafeRawBufferPointer(bytes))
        }
    }

    /// The id that a trace of the recording has in a round.
    func id(of traceID: TraceID, round: Int) -> TraceID {
        let key = key(round: round)
        return TraceID(high: traceID.high ^ key.high, low: traceID.low ^ key.low)
    }

    func spans(of number: Int) -> Int { messages[number % messages.count].spans.count }
    /// The recorded ids of a request's spans, and of those among them that failed.
    func traceIDs(of number: Int) -> [TraceID] { messages[number % messages.count].spans }
    func errors(of number: Int) -> [TraceID] { messages[number % messages.count].errors }

    private func key(round: Int) -> (high: UInt64, low: UInt64) {
        func mix(_ value: UInt64) -> UInt64 {
            var value = value &* 0x9E37_79B9_7F4A_7C15
            value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
            value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
            return value ^ value >> 31
        }
        let number = salt << 32 &+ UInt64(round) &+ 1
        return (mix(number), mix(number &+ 0x1000_0000_0000))
    }
}
