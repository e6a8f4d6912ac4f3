internal import Telemetry

/// E3 and E4: what is kept when not all can be, and whether what is kept is whole.
extension OverloadBench {
    /// Of the traces; at a hundred times the capacity they alone would take a tenth of it.
    static let errorShare = 0.001
    static let shedLoads = [2.0, 10, 100]

    /// What was kept of the requests that were answered, in one step.
    struct Kept {
        var errors = (offered: 0, kept: 0)
        var ordinary = (offered: 0, kept: 0)
        /// Spans that were acknowledged and are not there.
        var lost = 0
        /// Traces all of whose spans were answered: with some kept, and with all kept.
        var traces = (kept: 0, whole: 0)
        var goodput = 0.0

        var errorShare: Double { Double(errors.kept) / Double(max(errors.offered, 1)) }
        var ordinaryShare: Double { Double(ordinary.kept) / Double(max(ordinary.offered, 1)) }
        var wholeShare: Double { Double(traces.whole) / Double(max(traces.kept, 1)) }
    }

    /// In both ways of treating batches that hold errors and ordinary spans, where crestd has them.
    func classes() throws -> Bool {
        var modes = [[String]()]
        if try programOutput("crestd", ["--help"]).contains("--overload-mixed-batch") {
            modes = ["retry", "shed"].map { ["--overload-mixed-batch", $0] }
        }
        var isPassed = true
        for mode in modes { isPassed = try classes(mode) && isPassed }
        return isPassed
    }

    private func classes(_ flags: [String]) throws -> Bool {
        let daemon = try HeldDaemon(share: settings.share, flags: flags)
        defer { daemon.stop() }
        let measured = RequestTemplates(bodies, salt: 1, errorShare: Self.errorShare)
        let capacity = try capacity(daemon, measured, seconds: settings.stepSeconds)
        var steps: [Kept] = []
        for (index, times) in Self.shedLoads.enumerated() {
            let templates = RequestTemplates(
                bodies, salt: UInt64(index) + 2, errorShare: Self.errorShare)
            let source = LoadSource(templates: templates, connections: settings.connections)
            let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: [source])
            defer { load.close() }
            try load.connect()
            let phase = LoadGenerator.Phase(seconds: settings.stepSeconds, rates: [capacity * times])
            steps.append(try kept(load.run([phase])[0], templates, daemon))
            progress("at \(times) times the capacity: \(steps[index])")
        }
        return report(steps, capacity, flags, daemon)
    }

    /// Compares the answers with what is stored, request by request and trace by trace.
    private func kept(_ outcome: LoadOutcome, _ templates: RequestTemplates, _ daemon: HeldDaemon) throws -> Kept {
        daemon.quota.lift()
        defer { daemon.quota.hold() }
        var answered: [TraceID: Int] = [:]
        var acknowledged: [TraceID: Int] = [:]
        var failed: Set<TraceID> = []
        var kept = Kept()
        kept.goodput = outcome.goodput
        for (index, result) in outcome.results.enumerated() where result != .open && result != .unanswered {
            let number = outcome.firstNumber + index
            for traceID in templates.traceIDs(of: number) {
                let id = templates.id(of: traceID, round: number / templates.count)
                answered[id, default: 0] += 1
                if result == .accepted { acknowledged[id, default: 0] += 1 }
                if templates.traces[traceID]?.isError == true { failed.insert(id) }
            }
        }
        let stored = try StoredTraces(port: daemon.port("http")).spans(of: Array(answered.keys))
        for (id, spans) in answered {
            let there = stored[id] ?? 0
            kept.lost += max(0, (acknowledged[id] ?? 0) - there)
            let counts = (offered: spans, kept: min(there, spans))
            if failed.contains(id) { kept.errors += counts } else { kept.ordinary += counts }
            if there > 0 {
                kept.traces.kept += 1
                if there >= spans { kept.traces.whole += 1 }
            }
        }
        return kept
    }

    private func report(_ steps: [Kept], _ capacity: Double, _ flags: [String], _ daemon: HeldDaemon) -> Bool {
        let lost = steps.reduce(0) { $0 + $1.lost }
        let kept = steps.map(\.errorShare).min() ?? 0
        var report = report(.classes, "errors are kept first, nothing acknowledged is lost", daemon)
        report.add("flags", flags.joined(separator: " "))
        report.add("capacity_requests_per_second", capacity)
        report.add("times_capacity", Self.shedLoads)
        report.add("share_of_traces_with_errors", Self.errorShare)
        report.add("kept_of_answered_spans_of_traces_with_errors", steps.map(\.errorShare))
        report.add("kept_of_answered_spans_of_other_traces", steps.map(\.ordinaryShare))
        report.add("answered_spans_of_traces_with_errors", steps.map { Double($0.errors.offered) })
        report.add("goodput_spans_per_second", steps.map(\.goodput))
        report.add("errors_kept_limit", 0.9999)
        report.add("acknowledged_spans_lost", lost)
        report.add("pass", kept >= 0.9999 && lost == 0)
        report.print()
        let whole = steps.map(\.wholeShare).min() ?? 0
        var traces = self.report(.coherence, "traces of which something is kept are whole", daemon)
        traces.add("flags", flags.joined(separator: " "))
        traces.add("traces_kept", steps.map { Double($0.traces.kept) })
        traces.add("whole_of_kept", steps.map(\.wholeShare))
        traces.add("whole_limit", 0.99)
        traces.add("pass", whole >= 0.99)
        traces.print()
        return kept >= 0.9999 && lost == 0 && whole >= 0.99
    }
}

private func += (left: inout (offered: Int, kept: Int), right: (offered: Int, kept: Int)) {
    left.offered += right.offered
    left.kept += right.kept
}
