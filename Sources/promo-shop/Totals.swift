internal import CrestClient

/// What the shop did and sent, as the JSON object on standard output.
struct Totals {
    var requests = 0
    var checkouts = 0
    var spans = 0
    var kinds: [Shop.Kind: Int] = [:]
    var errorTraces = 0
    /// The checkout that took longest, for whoever wants to look at a waterfall.
    var slowest: (id: TraceID, nanoseconds: Int64)?

    mutating func add(_ kind: Shop.Kind, _ trace: RequestTrace) {
        requests += 1
        spans += trace.spans.count
        kinds[kind, default: 0] += 1
        if trace.hasFailed { errorTraces += 1 }
        guard trace.visit.intent == .checkout else { return }
        checkouts += 1
        let duration = trace.duration(0)
        if duration > slowest?.nanoseconds ?? -1 { slowest = (trace.id, duration) }
    }

    /// One line. Keys stay; more may come.
    func json(
        _ settings: Shop.Settings, metrics: [String: Int], elapsed: Double, spans sent: SpanStatistics,
        lines: DatagramStatistics
    ) -> String {
        var fields: [(String, String)] = [
            ("seed", "\(settings.seed)"), ("duration_seconds", "\(settings.schedule.duration)"),
            ("elapsed_seconds", "\((elapsed * 1_000).rounded() / 1_000)"), ("requests", "\(requests)"),
            ("checkouts", "\(checkouts)"), ("orders", "\(kinds[.ok] ?? 0)"),
            ("oversold", "\(metrics["stock.oversold"] ?? 0)"),
            ("traces", "\(requests)"), ("error_traces", "\(errorTraces)"), ("spans", "\(spans)"),
            ("spans_acknowledged", "\(sent.acknowledged)"), ("spans_sent", "\(sent.sent)"),
            ("spans_rejected", "\(sent.rejected)"),
            ("spans_dropped", "\(sent.dropped.total)"), ("span_requests", "\(sent.requests)"),
            ("span_retries", "\(sent.retries)"), ("statsd_lines", "\(lines.linesSent)"),
            ("statsd_datagrams", "\(lines.datagramsSent)"), ("statsd_lines_dropped", "\(lines.linesDropped)"),
            ("statsd_lines_rejected", "\(lines.linesRejected)"),
            ("statsd_datagrams_dropped", "\(lines.datagramsDropped)"),
        ]
        let byKind = Shop.Kind.allCases.map { ("\($0.rawValue)", "\(kinds[$0] ?? 0)") }
        fields.append(("kinds", object(byKind)))
        fields.append(("counters", object(metrics.sorted { $0.key < $1.key }.map { ($0.key, "\($0.value)") })))
        if let slowest {
            let slow = [
                ("trace_id", "\"\(slowest.id)\""), ("duration_ms", "\(Double(slowest.nanoseconds / 1_000) / 1_000)"),
            ]
            fields.append(("slowest_checkout", object(slow)))
        }
        return object(fields)
    }

    /// Keys and values here hold nothing that JSON would want escaped.
    private func object(_ fields: [(String, String)]) -> String {
        "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }
}
