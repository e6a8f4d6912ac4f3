/// From the earliest start to the latest end of a trace, in nanoseconds.
struct Extent {
    let start: Int64
    let length: Int64

    init(_ spans: [TraceSpan]) {
        start = spans.map(\.start).min() ?? 0
        let end = spans.map { max($0.start, $0.end) }.max() ?? 0
        let (difference, overflow) = end.subtractingReportingOverflow(start)
        length = overflow ? .max : difference
    }

    func offset(of span: TraceSpan) -> Int64 { offset(of: span.start) }

    func offset(of time: Int64) -> Int64 {
        let (difference, overflow) = time.subtractingReportingOverflow(start)
        return overflow ? .max : difference
    }
}

/// `1 span`, `2 spans`.
enum Counted {
    static func text(_ count: Int, _ noun: String) -> String { count == 1 ? "1 \(noun)" : "\(count) \(noun)s" }
}
