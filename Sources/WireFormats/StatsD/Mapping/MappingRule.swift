internal import Bytes
package import Telemetry

/// One rule of a mapping file: which names it takes and what it makes of them.
///
/// Source: schemas/wire/statsd.md, "Mapping files".
package struct MappingRule: Sendable {
    package enum Style: String, Sendable {
        /// Parts between dots; `*` stands for one whole part.
        case glob
        /// Found anywhere in the name unless anchored.
        case regex
    }

    private enum Matcher: Sendable {
        case glob([String?])
        case regex(LinearRegex)
    }

    /// File and line, for people.
    package let place: String
    /// As written.
    package let match: String
    package let style: Style
    private let matcher: Matcher
    package let groupNames: [String?]

    /// Kinds of lines it takes; empty: all.
    package var kinds: Set<MetricKind> = []
    package var isDrop = false
    package var name: MappingTemplate?
    package var labels: [(key: String, value: MappingTemplate)] = []
    /// When not nil, the only tags of the line that are kept, and what they are called then.
    package var tags: [(from: String, to: String)]?
    /// Tags of the line win over `labels`.
    package var honorsTags = false
    package var buckets: [Double]?
    package var scale: Double?
    package var isMilliseconds = false
    package var countName: MappingTemplate?
    package var help: String?
    /// Of the series it makes; nil: as for their type.
    package var expirySeconds: Int64?

    package init(_ match: String, style: Style, place: String) throws(MappingError) {
        self.match = match
        self.style = style
        self.place = place
        switch style {
        case .glob:
            var parts: [String?] = []
            for part in match.split(separator: ".", omittingEmptySubsequences: false) {
                guard part == "*" || !part.contains("*") && !part.isEmpty else {
                    throw MappingError("in '\(match)' every part between dots must be a word or * alone")
                }
                parts.append(part == "*" ? nil : String(part))
            }
            matcher = .glob(parts)
            groupNames = Array(repeating: nil, count: parts.count { $0 == nil } + 1)
        case .regex:
            do throws(RegexError) {
                let regex = try LinearRegex(match, anchored: false)
                matcher = .regex(regex)
                groupNames = regex.groupNames
            } catch { throw MappingError("regular expression '\(match)': \(error)") }
        }
    }

    /// The groups when the rule takes this name, the whole match first.
    func groups(of name: String, kind: MetricKind) -> [String?]? {
        guard kinds.isEmpty || kinds.contains(kind) else { return nil }
        switch matcher {
        case .regex(let regex): return regex.firstMatch(in: name)?.groups
        case .glob(let parts):
            let given = name.split(separator: ".", omittingEmptySubsequences: false)
            guard given.count == parts.count else { return nil }
            var groups: [String?] = [name]
            for (part, text) in zip(parts, given) {
                if part == nil {
                    groups.append(String(text))
                } else if text != part.map({ $0[...] }) {
                    return nil
                }
            }
            return groups
        }
    }

    /// What the rule makes of an identity that it takes.
    func apply(to identity: inout MetricIdentity, groups: [String?]) {
        if let tags {
            identity.labels = tags.compactMap { from, to in
                identity[from].map { MetricLabel(key: Array(to.utf8), value: $0) }
            }
        }
        for (key, value) in labels where !honorsTags || identity[key] == nil {
            identity.set(Array(key.utf8), value.expanded(groups))
        }
        if let name {
            identity.name = name.expanded(groups)
            identity.isExactName = true
        }
        let isObserver = [.timer, .histogram, .distribution].contains(identity.kind)
        if isMilliseconds, identity.kind != .timer, identity.kind != .set {
            identity.scale *= 0.001
            if isObserver { identity.kind = .timer }
        }
        if let scale, identity.kind != .set { identity.scale *= scale }
        if isObserver {
            identity.buckets = buckets
            identity.countName = countName?.expanded(groups)
        }
        identity.help = help
        identity.expirySeconds = expirySeconds
    }
}
