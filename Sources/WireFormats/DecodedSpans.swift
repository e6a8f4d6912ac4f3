package import Telemetry

/// What a span decoder made of one body: the good spans as a batch and an account of the others.
package struct DecodedSpans: Sendable {
    package let batch: SpanBatch
    /// Spans in the body: those of the batch and the rejected ones.
    package let received: Int
    /// Refused spans by reason; only reasons that occurred.
    package let rejected: [(reason: SpanRejection, count: Int)]
    /// Names the first rejected span and its defect; empty when none was rejected.
    package let message: String

    package var rejectedCount: Int { rejected.reduce(0) { $0 + $1.count } }

    /// Without the spans of the batch that are not selected, as if they had not been in the body.
    package func keeping(_ selection: SpanSelection) -> DecodedSpans {
        let kept = batch.subset(selection)
        return DecodedSpans(
            batch: kept, received: received - batch.spans.count + kept.spans.count, rejected: rejected,
            message: message)
    }
}

/// Counts rejected spans while a body is decoded.
struct RejectionCount {
    private(set) var counts: [(reason: SpanRejection, count: Int)] = []
    private(set) var message = ""

    /// - Parameter place: which span, as in ``WireError/path``; only looked at for the first.
    mutating func add(_ reason: SpanRejection, at place: @autoclosure () -> String) {
        add(reason, message: "\(place()): \(Self.text(reason))")
    }

    mutating func add(_ reason: SpanRejection, message text: @autoclosure () -> String) {
        if counts.isEmpty { message = text() }
        if let index = counts.firstIndex(where: { $0.reason == reason }) {
            counts[index].count += 1
        } else {
            counts.append((reason, 1))
        }
    }

    private static func text(_ reason: SpanRejection) -> String {
        switch reason {
        case .zeroTraceID: "the trace id is all zeros"
        case .zeroSpanID: "the span id is all zeros"
        case .badIDLength: "a trace id needs 16 bytes and a span id 8"
        case .spanTooLarge: "the span is larger than \(Limits.spanBytes) bytes"
        case .malformed: "not a valid span"
        case .busy, .rate, .readOnly, .shed: reason.rawValue
        }
    }
}
