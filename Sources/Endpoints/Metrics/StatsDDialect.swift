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
