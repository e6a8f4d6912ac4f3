internal import CrestClient

/// What a service that uses CrestClient is sent: headers of a trace, and the answers of a daemon.
extension FuzzTarget {
    static let traceParent = FuzzTarget(
        name: "trace-parent",
        seeds: {
            [
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more",
            ].map { Array($0.utf8) }
        },
        check: { input in
            guard let parent = TraceParent(String(decoding: input, as: UTF8.self)) else { return nil }
            guard let again = TraceParent(parent.description) else { return "its own header is refused" }
            return again.traceID == parent.traceID && again.spanID == parent.spanID ? nil : "another parent"
        })

    static let clientAnswers = FuzzTarget(
        name: "client-answers",
        seeds: {
            [Array("Sun, 06 Nov 1994 08:49:37 GMT".utf8), Array("120".utf8), [10, 4, 8, 3, 18, 0], [10, 2, 8, 5]]
        },
        check: { input in
            _ = parseRejectedSpans(input)
            let wait = parseRetryAfter(String(decoding: input, as: UTF8.self), nowSeconds: 0)
            return (wait ?? 0) < 0 ? "a negative wait" : nil
        })
}
