/// E6: after the overload everything is as before, soon, and without a second wave.
extension OverloadBench {
    func recovery() throws -> Bool {
        let daemon = try HeldDaemon(share: settings.share)
        defer { daemon.stop() }
        let measured = RequestTemplates(bodies, salt: 1)
        let capacity = try capacity(daemon, measured, seconds: settings.stepSeconds)
        // The crowd does as it is told: it waits as long as Retry-After says and then sends the same again.
        let sources = [
            LoadSource(templates: RequestTemplates(bodies, salt: 2), connections: 32),
            LoadSource(
                templates: RequestTemplates(bodies, salt: 3), connections: settings.connections,
                isPatient: true),
        ]
        let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: sources)
        defer { load.close() }
        try load.connect()
        let calm = settings.stepSeconds
        let normal = LoadGenerator.Phase(seconds: calm, rates: [capacity / 2, 0])
        let crowded = LoadGenerator.Phase(seconds: settings.stepSeconds, rates: [capacity / 2, capacity * 100])
        let after = LoadGenerator.Phase(seconds: max(10, calm), rates: [capacity / 2, 0])
        let outcomes = load.run([normal, crowded, after])
        let end = calm + crowded.seconds
        return report(outcomes, calm: calm, end: end, length: after.seconds, capacity, daemon)
    }

    private func report(
        _ outcomes: [LoadOutcome], calm: Double, end: Double, length: Double, _ capacity: Double, _ daemon: HeldDaemon
    ) -> Bool {
        let normal = outcomes[0].latency(0.99, from: 0, to: calm)
        let limit = 2 * normal + 20
        // Half-second windows; the last one that is not normal ends the recovery.
        let windows = (0..<Int(length * 2)).map { index in
            outcomes[0].latency(0.99, from: end + Double(index) / 2, to: end + Double(index + 1) / 2)
        }
        let recovered = Double((windows.lastIndex { $0 > limit } ?? -1) + 1) / 2
        // The crowd's repetitions, at most in any second.
        let later = outcomes[1].sentPerTenth.dropFirst(Int(end * 10))
        let peak = (0..<max(1, later.count)).map { later.dropFirst($0).prefix(10).reduce(0, +) }.max() ?? 0
        let wave = Double(peak) / capacity
        let isPassed = recovered <= 5 && wave <= 1.3
        var report = report(.recovery, "normal again after a hundred times the capacity", daemon)
        report.add("normal_p99_ms", normal)
        report.add("overloaded_p99_ms", outcomes[0].latency(0.99, from: calm, to: end))
        report.add("recovered_p99_limit_ms", limit)
        report.add("p99_ms_by_half_second_after", windows)
        report.add("seconds_until_normal", recovered)
        report.add("seconds_until_normal_limit", 5)
        report.add("crowd_refused", outcomes[1].busy + outcomes[1].quota)
        report.add("crowd_repeated", outcomes[1].repeated)
        report.add("second_wave_of_capacity", wave)
        report.add("second_wave_limit", 1.3)
        report.add("pass", isPassed)
        report.print()
        return isPassed
    }
}

extension LoadOutcome {
    /// Of what was accepted in this part of the run.
    func latency(_ share: Double, from start: Double, to end: Double) -> Double {
        percentile(zip(answeredAt, milliseconds).filter { $0.0 >= start && $0.0 < end }.map(\.1), share)
    }
}
