internal import Endpoints
internal import Logging
internal import Synchronization
internal import Telemetry

/// Reads the configuration again and applies what can change while running; keeps all of the old one on an error.
///
/// Everything is read and checked before anything is applied, so that a wrong file changes nothing.
final class Reload: Sendable {
    private let sources: ConfigurationSources
    private let running: Mutex<Configuration>
    private let threshold: LogThreshold
    private let counts: ReloadCounts
    private let log: Logger
    private let apply: @Sendable (Configuration) -> Void

    /// - Parameter apply: puts what can change into effect.
    init(
        sources: ConfigurationSources, running: Configuration, threshold: LogThreshold, counts: ReloadCounts,
        log: Logger, apply: @escaping @Sendable (Configuration) -> Void
    ) {
        self.sources = sources
        self.running = Mutex(running)
        self.threshold = threshold
        self.counts = counts
        self.log = log
        self.apply = apply
    }

    /// Nil when done; otherwise what is wrong.
    func callAsFunction() -> String? {
        // One at a time: SIGHUP and a request may come together.
        running.withLock { current in
            let resolved: ResolvedConfiguration
            do throws(StartFailure) { resolved = try sources.resolve() } catch {
                counts.note(success: false)
                log.error("the configuration was not reloaded: \(error)")
                return "\(error)"
            }
            for warning in resolved.warnings { log.warning("\(warning)") }
            let next = resolved.configuration
            let rest = current.takeReloadable(from: next)
            threshold.set(current.logLevel)
            apply(current)
            counts.note(success: true)
            if rest.isEmpty {
                log.info("reloaded")
            } else {
                log.warning("reloaded, but for what needs a restart: \(rest.joined(separator: ", "))")
            }
            return nil
        }
    }
}

extension Setting {
    /// The settings that a reload applies. Of those that name a file it applies what stands in the same file.
    package static let reloadable: Set<String> = [
        "log-level", "retention-age", "retention-bytes", "slow-threshold", "recorder-age", "recorder-bytes",
        "retention-errors-age", "retention-errors-bytes", "retention-slow-age", "retention-slow-bytes",
        "retention-ordinary-age", "retention-ordinary-bytes", "retention-pinned-bytes",
        "series-limit", "series-limit-family", "series-limit-source",
        "expire-counters", "expire-gauges", "expire-histograms", "expire-sets",
        "statsd-profile", "statsd-gauge-sign", "statsd-mapping",
    ]
}

extension Configuration {
    /// Takes what a reload may change.
    /// - Returns: the settings that differ and were not taken, in the order in which settings are printed.
    package mutating func takeReloadable(from next: Configuration) -> [String] {
        var rest: [String] = []
        for setting in Setting.all {
            let texts = setting.texts(next)
            guard texts != setting.texts(self) else { continue }
            // What does not run cannot be told to go on for another time.
            let turns = setting.name == "recorder-age" && (recorderAge == 0) != (next.recorderAge == 0)
            if !Setting.reloadable.contains(setting.name) || turns || !setting.apply(&self, texts) {
                rest.append(setting.name)
            }
        }
        statsDMappingTexts = next.statsDMappingTexts
        if access.namesSameFiles(as: next.access) {
            access.contents = next.access.contents
        }
        if crestUDPKeyFile == next.crestUDPKeyFile, crestUDPKey != next.crestUDPKey {
            rest.append("crest-udp-key-file")
        }
        return rest
    }
}

/// What became of reloads, for the metrics.
final class ReloadCounts: Sendable {
    private let succeeded = Atomic<UInt64>(0)
    private let failed = Atomic<UInt64>(0)
    private let lastFailed = Atomic<Bool>(false)
    private let lastSuccess: Atomic<UInt64>
    private let now: @Sendable () -> UInt64

    /// - Parameter now: Unix nanoseconds. The start counts as the first success.
    init(now: @escaping @Sendable () -> UInt64) {
        self.now = now
        lastSuccess = Atomic(now())
    }

    func note(success: Bool) {
        if success { succeeded.add(1, ordering: .relaxed) } else { failed.add(1, ordering: .relaxed) }
        lastFailed.store(!success, ordering: .relaxed)
        if success { lastSuccess.store(now(), ordering: .relaxed) }
    }

    var families: [SelfMetricFamily] {
        [
            .gauge(
                "crest_config_reload_failed", "1: the last reload failed and the configuration before it is in use.",
                lastFailed.load(ordering: .relaxed) ? 1 : 0),
            .counters(
                "crest_config_reloads_total", "Reloads of the configuration.", by: "result",
                [
                    ("success", succeeded.load(ordering: .relaxed)), ("failure", failed.load(ordering: .relaxed)),
                ]),
            .gauge(
                "crest_config_last_success_timestamp_seconds",
                "When the configuration in use was read, Unix time.",
                Double(lastSuccess.load(ordering: .relaxed) / 1_000_000_000)),
        ]
    }
}
