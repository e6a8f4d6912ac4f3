internal import CLinux
internal import Telemetry

/// What a run of the overload experiments does.
struct OverloadSettings {
    var experiments: Set<Experiment>
    var stepSeconds: Double
    /// Of one core, for the daemon, where a hundred times its capacity is offered.
    var share: Double
    /// The same where half or five times the capacity is: E5 and E7 measure latencies, which a share below one cuts up
    /// into its periods.
    var wholeShare: Double
    var connections: Int
    /// Spans of a request, at least.
    var batchSpans: Int
    var seed: Int
}

/// The experiments of overload, by their short names.
enum Experiment: String, CaseIterable {
    /// Goodput and memory over a sweep of loads.
    case goodput = "E1"
    case memory = "E2"
    /// What is kept first, nothing acknowledged lost, whole traces.
    case classes = "E3"
    case coherence = "E4"
    case tenants = "E5"
    case recovery = "E6"
    case hostile = "E7"
    case datagrams = "E8"

    /// Those of one run of the daemon.
    static let groups: [[Experiment]] = [
        [.goodput, .memory], [.classes, .coherence], [.tenants], [.recovery], [.hostile], [.datagrams],
    ]
}

/// Runs the experiments, each one line of output with its numbers, its limit and whether it passed.
/// - Returns: whether all passed.
func runOverload(_ settings: OverloadSettings) throws -> Bool {
    let bench = try OverloadBench(settings)
    var isPassed = true
    for group in Experiment.groups where !settings.experiments.isDisjoint(with: group) {
        switch group[0] {
        case .goodput, .memory: isPassed = try bench.sweep() && isPassed
        case .classes, .coherence: isPassed = try bench.classes() && isPassed
        case .tenants: isPassed = try bench.tenants() && isPassed
        case .recovery: isPassed = try bench.recovery() && isPassed
        case .hostile: isPassed = try bench.hostile() && isPassed
        case .datagrams: isPassed = try bench.datagrams() && isPassed
        }
    }
    return isPassed
}

/// A recording of promo-shop and what all experiments do with it.
struct OverloadBench {
    let settings: OverloadSettings
    /// What ten services send, each with an exporter of its own, so that a trace comes in several requests.
    let bodies: [[UInt8]]

    init(_ settings: OverloadSettings) throws {
        self.settings = settings
        let recording = try Recording(spans: 100_000, seed: settings.seed)
        bodies = batchesByService(recording.bodies, spans: settings.batchSpans)
        let sizes = bodies.map { Double($0.count) }
        progress(
            "\(recording.spanCount) spans in \(bodies.count) requests, median \(Int(percentile(sizes, 0.5))) bytes, "
                + "largest \(Int(percentile(sizes, 1)))")
        // What bench does besides must not run where the daemon is measured.
        _ = clinux_pin(0, 0)
    }

    /// Requests a second that the daemon acknowledges when there are always some more waiting.
    func capacity(_ daemon: HeldDaemon, _ templates: RequestTemplates, seconds: Double) throws -> Double {
        let source = LoadSource(templates: templates, connections: 64)
        let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: [source])
        defer { load.close() }
        try load.connect()
        let outcome = load.run([LoadGenerator.Phase(seconds: seconds, rates: [.infinity])])[0]
        guard outcome.accepted > 0 else { throw ReplayFailure(text: "nothing was accepted at all") }
        return Double(outcome.milliseconds.count) / seconds
    }

    func report(_ experiment: Experiment, _ what: String, _ daemon: HeldDaemon) -> Report {
        var report = Report("overload \(experiment.rawValue)")
        report.add("experiment", what)
        report.add("held_by", daemon.quota.method)
        report.add("quota_of_a_core", daemon.share)
        report.add("spans_a_request", settings.batchSpans)
        report.add("step_seconds", settings.stepSeconds)
        return report
    }
}
