package import Telemetry

/// How the marks that client libraries leave on their lines are treated.
package enum StatsDProfile: String, CaseIterable, Sendable {
    /// Micrometer's marks are undone where a line can come from nothing else.
    case auto
    /// All lines come from Micrometer: signed gauges are levels, and `|d` and `|h` lines of known timers hold
    /// milliseconds.
    case micrometer
    /// Nothing is undone.
    case plain
}

/// The rules of all mapping files, in the order given.
package struct MappingRules: Sendable {
    package var mappings: [MappingRule] = []
    package var relabelling: [RelabelRule] = []

    package init() {}

    /// Globs before regular expressions, each in file order, as the exporter that the format comes from has it.
    package mutating func add(_ rules: [MappingRule]) {
        mappings += rules.filter { $0.style == .glob } + rules.filter { $0.style == .regex }
    }
}

/// One step between a line and its series, for those who ask why.
package struct TranslationStep: Sendable {
    package enum Stage: String, Sendable {
        case profile
        case mapping
        case relabel
    }

    package var stage: Stage
    /// The rule and where it stands.
    package var rule: String
    /// After the step; nil when the line is dropped here.
    package var identity: MetricIdentity?
}

/// What became of an identity.
package enum Translation: Hashable, Sendable {
    case series(MetricIdentity)
    /// A rule says that such lines are dropped.
    case dropped
    case rejected(LineRejection)
}

/// From the identity as sent to the identity that is registered: profile, mapping rules, relabelling. Immutable; used
/// once for each new key, by every receiver and by those who ask for an explanation.
package struct LineTranslator: Sendable {
    package let profile: StatsDProfile
    package let rules: MappingRules

    package init(profile: StatsDProfile = .auto, rules: MappingRules = MappingRules()) {
        self.profile = profile
        self.rules = rules
    }

    /// - Parameter note: is told of every step that changed something.
    package func translate(
        _ sent: StatsDIdentity, kind: MetricKind, note: ((TranslationStep) -> Void)? = nil
    ) -> Translation {
        var identity = MetricIdentity(name: sent.name, labels: sent.labels, kind: kind)
        for change in MicrometerProfile(profile).undo(&identity) {
            note?(TranslationStep(stage: .profile, rule: change, identity: identity))
        }
        for rule in rules.mappings {
            guard let groups = rule.groups(of: String(decoding: identity.name, as: UTF8.self), kind: kind) else {
                continue
            }
            let title = "\(rule.place): match \(rule.match)"
            if rule.isDrop {
                note?(TranslationStep(stage: .mapping, rule: title + ", drop", identity: nil))
                return .dropped
            }
            rule.apply(to: &identity, groups: groups)
            note?(TranslationStep(stage: .mapping, rule: title, identity: identity))
            break
        }
        guard relabel(&identity, note) else { return .dropped }
        guard !identity.name.isEmpty else { return .rejected(.emptyName) }
        return .series(identity)
    }

    private func relabel(_ identity: inout MetricIdentity, _ note: ((TranslationStep) -> Void)?) -> Bool {
        for rule in rules.relabelling {
            let before = identity
            let title = "\(rule.place): \(rule.description)"
            guard rule.apply(to: &identity) else {
                note?(TranslationStep(stage: .relabel, rule: title, identity: nil))
                return false
            }
            if let note, identity != before {
                note(TranslationStep(stage: .relabel, rule: title, identity: identity))
            }
        }
        if !rules.relabelling.isEmpty { identity.labels.removeAll { $0.key.starts(with: "__tmp".utf8) } }
        return true
    }
}
