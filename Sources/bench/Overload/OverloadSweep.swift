internal import Telemetry

/// E1 and E2: an open-loop sweep from a tenth of the capacity to a hundred times of it.
extension OverloadBench {
    static let loads = [0.1, 0.5, 0.8, 1, 2, 5, 10, 30, 100]

    func sweep() throws -> Bool {
        let daemon = try HeldDaemon(share: settings.share)
        defer { daemon.stop() }
        let measured = RequestTemplates(bodies, salt: 1)
        let capacity = try capacity(daemon, measured, seconds: settings.stepSeconds)
        progress("capacity \(Int(capacity)) requests/s, \(daemon.quota.method)")
        let templates = RequestTemplates(bodies, salt: 2)
        let source = LoadSource(templates: templates, connections: settings.connections)
        let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: [source])
        defer { load.close() }
        try load.connect()
        var steps: [LoadOutcome] = []
        for times in Self.loads {
            let phase = LoadGenerator.Phase(seconds: settings.stepSeconds, rates: [capacity * times])
            let cpu = ownSeconds()
            let outcome = load.run([phase])[0]
            steps.append(outcome)
            step(outcome, times, ownSeconds() - cpu, daemon)
        }
        let peakMemory = daemon.process.peakResidentBytes
        daemon.quota.lift()
        let isGood = try goodput(steps, capacity, templates, daemon)
        var report = report(.memory, "memory while overloaded", daemon)
        report.add("peak_rss_bytes", peakMemory)
        report.add("limit_bytes", HeldDaemon.memoryLimit)
        report.add("pass", peakMemory <= HeldDaemon.memoryLimit)
        report.print()
        return isGood && peakMemory <= HeldDaemon.memoryLimit
    }

    private func step(_ outcome: LoadOutcome, _ times: Double, _ senderSeconds: Double, _ daemon: HeldDaemon) {
        var report = Report("overload step")
        report.add("offered_times_capacity", times)
        report.add("offered_per_second", Double(outcome.offered) / outcome.seconds)
        report.add("sent_per_second", Double(outcome.sent) / outcome.seconds)
        report.add("no_connection_free_per_second", Double(outcome.unsent) / outcome.seconds)
        report.add("accepted", outcome.accepted)
        report.add("busy_503", outcome.busy)
        report.add("quota_429", outcome.quota)
        report.add("other_status", outcome.otherStatus)
        report.add("broken", outcome.broken)
        report.add("timed_out", outcome.timedOut)
        report.add("goodput_spans_per_second", outcome.goodput)
        report.add("admitted_p50_ms", outcome.latency(0.5))
        report.add("admitted_p99_ms", outcome.latency(0.99))
        report.add("sender_latest_ms", outcome.latestSend * 1e3)
        report.add("sender_cpu", senderSeconds / outcome.seconds)
        report.add("rss_bytes", daemon.process.residentBytes)
        report.print()
    }

    private func goodput(
        _ steps: [LoadOutcome], _ capacity: Double, _ templates: RequestTemplates, _ daemon: HeldDaemon
    ) throws -> Bool {
        let peak = steps.map(\.goodput).max() ?? 0
        let kept = (steps.last?.goodput ?? 0) / max(peak, 1)
        let p99 = steps.last?.latency(0.99) ?? 0
        let limit = 2 * steps[2].latency(0.99) + 20
        let lost = try lostSpans(steps, templates, daemon)
        let isPassed = kept >= 0.9 && p99 <= limit && lost.spans == 0
        var report = report(.goodput, "goodput and latency at \(Self.loads.last ?? 0) times the capacity", daemon)
        report.add("capacity_requests_per_second", capacity)
        report.add("capacity_spans_per_second", capacity * Double(templates.spanCount) / Double(templates.count))
        report.add("connections", settings.connections)
        report.add("times_capacity", Self.loads)
        report.add("goodput_spans_per_second", steps.map(\.goodput))
        report.add("admitted_p99_ms", steps.map { $0.latency(0.99) })
        report.add("goodput_of_peak", kept)
        report.add("goodput_of_peak_limit", 0.9)
        report.add("p99_limit_ms", limit)
        report.add("acknowledged_traces_looked_up", lost.traces)
        report.add("acknowledged_spans_lost", lost.spans)
        report.add("pass", isPassed)
        report.print()
        return isPassed
    }

    /// Looks up what was acknowledged, or an even part of it, by the ids of its traces.
    func lostSpans(
        _ outcomes: [LoadOutcome], _ templates: RequestTemplates, _ daemon: HeldDaemon, atMost limit: Int = 20_000
    ) throws -> (traces: Int, spans: Int) {
        var expected: [TraceID: Int] = [:]
        for number in outcomes.flatMap({ $0.numbers(.accepted) }) {
            let round = number / templates.count
            for traceID in templates.traceIDs(of: number) {
                expected[templates.id(of: traceID, round: round), default: 0] += 1
            }
        }
        // Ids are random, so the smallest are an even sample.
        let ids = Array(expected.keys.sorted().prefix(limit))
        let stored = try StoredTraces(port: daemon.port("http")).spans(of: ids)
        return (ids.count, ids.reduce(0) { $0 + max(0, (expected[$1] ?? 0) - (stored[$1] ?? 0)) })
    }
}
