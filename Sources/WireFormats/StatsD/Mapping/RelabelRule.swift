internal import Bytes
internal import Telemetry

/// One step of relabelling, with the meaning it has in Prometheus' `relabel_config`.
///
/// `__name__` is the metric's name and may be changed; `__type__` is `counter`, `gauge`, `timer`, `histogram`,
/// `distribution` or `set` and may only be read. Labels `__tmp*` are gone when the last rule has been applied.
package struct RelabelRule: Sendable {
    package enum Action: String, CaseIterable, Sendable {
        case replace
        case keep
        case drop
        case labelMap = "labelmap"
        case labelDrop = "labeldrop"
        case labelKeep = "labelkeep"
    }

    package let place: String
    package let action: Action
    private let sourceLabels: [String]
    private let separator: String
    private let regex: LinearRegex
    private let target: MappingTemplate?
    private let replacement: MappingTemplate

    package init(
        _ action: Action, sourceLabels: [String], separator: String, regex: String, targetLabel: String?,
        replacement: String, place: String
    ) throws(MappingError) {
        self.place = place
        self.action = action
        self.sourceLabels = sourceLabels
        self.separator = separator
        do throws(RegexError) { self.regex = try LinearRegex(regex) } catch {
            throw MappingError("regular expression '\(regex)': \(error)")
        }
        let isUsed = action == .replace || action == .labelMap
        self.replacement = try MappingTemplate(isUsed ? replacement : "", groupNames: self.regex.groupNames)
        switch action {
        case .replace:
            guard let targetLabel, !targetLabel.isEmpty else { throw MappingError("replace needs a target_label") }
            target = try MappingTemplate(targetLabel, groupNames: self.regex.groupNames)
        case .keep, .drop:
            guard !sourceLabels.isEmpty else { throw MappingError("\(action.rawValue) needs source_labels") }
            target = nil
        case .labelMap, .labelDrop, .labelKeep: target = nil
        }
    }

    package var description: String { "\(action.rawValue) \(regex)" }

    /// Applies the rule.
    /// - Returns: false when the line is to be dropped.
    func apply(to identity: inout MetricIdentity) -> Bool {
        switch action {
        case .keep: return regex.matches(joinedSource(identity))
        case .drop: return !regex.matches(joinedSource(identity))
        case .replace:
            guard let match = regex.firstMatch(in: joinedSource(identity)), let target else { return true }
            set(target.expanded(match.groups), replacement.expanded(match.groups), in: &identity)
        case .labelMap:
            for label in identity.labels {
                guard let match = regex.firstMatch(in: text(label.key)) else { continue }
                set(replacement.expanded(match.groups), label.value, in: &identity)
            }
        case .labelDrop: identity.labels.removeAll { regex.matches(text($0.key)) }
        case .labelKeep: identity.labels.removeAll { !regex.matches(text($0.key)) }
        }
        return true
    }

    private func set(_ key: [UInt8], _ value: [UInt8], in identity: inout MetricIdentity) {
        if key.elementsEqual("__name__".utf8) {
            identity.name = value
        } else if !key.isEmpty, !key.elementsEqual("__type__".utf8) {
            identity.set(key, value)
        }
    }

    private func joinedSource(_ identity: MetricIdentity) -> String {
        sourceLabels.map { label in
            switch label {
            case "__name__": text(identity.name)
            case "__type__": String(describing: identity.kind)
            default: identity[label].map(text) ?? ""
            }
        }.joined(separator: separator)
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
