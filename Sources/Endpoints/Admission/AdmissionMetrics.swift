internal import Telemetry

extension AdmissionControl {
    /// The gauges of the ladder, and what each tenant has sent since the start.
    package var selfMetrics: [SelfMetricFamily] {
        let meters = tenants.all
        let now = now
        let counts = meters.map { ($0.name, $0.counts(now: now).total) }
        return [
            .gauge(
                "crest_admission_state", "By what requests hold of their memory: 0 green, 1 yellow, 2 orange, 3 red.",
                Double(budget.signal.state.rawValue)),
            .gauge(
                "crest_memory_reserved_bytes", "Bytes that requests hold of the memory budget.",
                Double(budget.reservedBytes)),
            .gauge("crest_memory_budget_bytes", "Bytes that requests may hold.", Double(budget.requestBytes)),
            .gauge(
                "crest_admission_queue_bytes",
                "What requests may hold so that it is worked off in time; 0: they do not queue, memory is the bound.",
                Double(budget.queueBound ?? 0)),
            .gauge("crest_memory_limit_bytes", "Bytes that the process should not exceed.", Double(budget.limitBytes)),
            .counters(
                "crest_tenant_requests_total", "Requests read, by tenant.", by: "tenant",
                counts.map { ($0.0, $0.1.requests) }),
            .counters(
                "crest_tenant_bytes_total", "Bytes of their bodies as sent, by tenant.", by: "tenant",
                counts.map { ($0.0, $0.1.bytes) }),
            .counters(
                "crest_tenant_spans_total", "Spans let in, by tenant.", by: "tenant", counts.map { ($0.0, $0.1.spans) }),
            .counters(
                "crest_tenant_requests_refused_total", "Requests refused with 429 or 503, by tenant.", by: "tenant",
                counts.map { ($0.0, $0.1.refused) }),
            .gauge("crest_limited_sources", "Addresses whose rates are followed.", Double(sources?.count ?? 0)),
        ]
    }
}
