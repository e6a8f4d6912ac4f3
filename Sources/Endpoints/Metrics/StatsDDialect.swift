internal import Synchronization
package import WireFormats

/// How a daemon reads StatsD lines: what is set by `--statsd-profile`, `--statsd-gauge-sign` and `--statsd-mapping`.
package struct StatsDDialect: Sendable {
    package enum GaugeSign: String, CaseIterable, Sendable {
        /// A level when the line shows marks of DogStatsD or Micrometer, else a change.
        case auto
        /// A change: Etsy's servers and clients.
        case delta
        /// A level: Datadog's agent, Micrometer.
        case absolute
    }

    package var gaugeSign: GaugeSign
    package var translator: LineTranslator

    package init(
        profile: StatsDProfile = .auto, gaugeSign: GaugeSign = .auto, rules: MappingRules = MappingRules()
    ) {
        self.gaugeSign = gaugeSign
        translator = LineTranslator(profile: profile, rules: rules)
    }

    var signPolicy: GaugeSignPolicy {
        switch gaugeSign {
        case .auto: translator.profile == .micrometer ? .level : .auto
        case .delta: .change
        case .absolute: .level
        }
    }
}

/// The dialect in use, which a reload may replace; shared by all receivers.
package final class StatsDDialects: Sendable {
    private let dialect: Mutex<StatsDDialect>
    private let number = Atomic<UInt64>(0)

    package init(_ dialect: StatsDDialect) { self.dialect = Mutex(dialect) }

    /// Changes with every replacement: what a receiver looks at for each datagram.
    @inline(__always)
    var generation: UInt64 { number.load(ordering: .acquiring) }

    /// The dialect, and a generation that is not newer.
    var current: (dialect: StatsDDialect, generation: UInt64) {
        let generation = generation
        return (dialect.withLock { $0 }, generation)
    }

    func replace(_ next: StatsDDialect) {
        dialect.withLock { $0 = next }
        number.add(1, ordering: .releasing)
    }
}
