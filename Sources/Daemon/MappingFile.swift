internal import Telemetry
internal import WireFormats
internal import Yams

/// Reads a mapping file: the format of statsd_exporter, and beside it our own section of relabelling rules.
///
///     defaults: {...}     mappings: [{match, name, labels, ...}]     relabel: [{source_labels, regex, action, ...}]
///
/// Whatever is not known is an error that names its line. Source: schemas/wire/statsd.md, "Mapping files".
struct MappingFile {
    private(set) var mappings: [MappingRule] = []
    private(set) var relabelling: [RelabelRule] = []
    /// What is read and then done differently, or not at all, than the file may expect.
    private(set) var notes: [String] = []
    private let path: String
    private var defaults = Defaults()

    private struct Defaults {
        var style = MappingRule.Style.glob
        var buckets: [Double]?
        var expirySeconds: Int64?
    }

    /// - Parameter path: as given, for error texts and the places of rules.
    init(_ text: String, path: String) throws(StartFailure) {
        self.path = path
        guard let root = try YAMLNode.compose(text, path) else { return }
        let fields = try root.fields(["defaults", "mappings", "relabel"])
        if let node = fields["defaults"] { try readDefaults(node) }
        for node in try fields["mappings"]?.items() ?? [] { mappings.append(try mapping(node)) }
        for node in try fields["relabel"]?.items() ?? [] { relabelling.append(try relabelRule(node)) }
    }

    private mutating func readDefaults(_ node: YAMLNode) throws(StartFailure) {
        let fields = try node.fields([
            "observer_type", "timer_type", "buckets", "quantiles", "match_type", "glob_disable_ordering", "ttl",
            "summary_options", "histogram_options",
        ])
        if let style = fields["match_type"] { defaults.style = try self.style(style) }
        if let buckets = try buckets(fields) { defaults.buckets = buckets }
        if let flag = fields["glob_disable_ordering"], try flag.boolean() {
            notes.append("\(flag.place): globs are tried in the order of the file all the same")
        }
        try readObserver(fields)
        defaults.expirySeconds = try expirySeconds(fields)
    }

    private func style(_ node: YAMLNode) throws(StartFailure) -> MappingRule.Style {
        guard let style = MappingRule.Style(rawValue: try node.text()) else {
            throw node.fault("match_type must be glob or regex")
        }
        return style
    }

    private mutating func readObserver(_ fields: [String: YAMLNode]) throws(StartFailure) {
        for key in ["observer_type", "timer_type"] {
            guard let node = fields[key] else { continue }
            switch try node.text() {
            case "histogram": break
            case "summary": notes.append("\(node.place): summaries are kept as histograms")
            default: throw node.fault("\(key) must be histogram or summary")
            }
        }
        if let options = fields["summary_options"] {
            _ = try options.fields(["quantiles", "max_age", "age_buckets", "buf_cap"])
        }
    }

    /// Nil when there is no `ttl`, or it is 0, which is the same to the exporter.
    private func expirySeconds(_ fields: [String: YAMLNode]) throws(StartFailure) -> Int64? {
        guard let node = fields["ttl"] else { return nil }
        let text = try node.text()
        guard let duration = ["0", "0s"].contains(text) ? 0 : SettingText.nanoseconds(text) else {
            throw node.fault("ttl must be a duration such as 10m")
        }
        // Below that a series could come and go between two scrapes.
        guard duration == 0 || duration >= 2_000_000_000 else { throw node.fault("ttl must be at least 2s") }
        return duration == 0 ? nil : Int64(clamping: duration / 1_000_000_000)
    }

    private func buckets(_ fields: [String: YAMLNode]) throws(StartFailure) -> [Double]? {
        var node = fields["buckets"]
        if let options = fields["histogram_options"] {
            let inner = try options.fields([
                "buckets", "native_histogram_bucket_factor", "native_histogram_max_buckets",
            ])
            node = inner["buckets"] ?? node
        }
        guard let node else { return nil }
        var bounds: [Double] = []
        for item in try node.items() {
            let bound = try item.number()
            if bound == .infinity { continue }
            guard bound.isFinite, bound > bounds.last ?? -.infinity else {
                throw item.fault("buckets must be numbers in ascending order")
            }
            bounds.append(bound)
        }
        guard !bounds.isEmpty, bounds.count <= Limits.bucketsPerHistogram else {
            throw node.fault("there must be 1 to \(Limits.bucketsPerHistogram) buckets")
        }
        return bounds
    }

    // MARK: mappings

    private mutating func mapping(_ node: YAMLNode) throws(StartFailure) -> MappingRule {
        let fields = try node.fields([
            "match", "match_type", "match_metric_type", "name", "labels", "honor_labels", "observer_type",
            "timer_type", "buckets", "quantiles", "help", "action", "ttl", "summary_options", "histogram_options",
            "scale", "unit", "tags", "count_name",
        ])
        guard let match = fields["match"] else { throw node.fault("a mapping needs a match") }
        let style = try fields["match_type"].map { node throws(StartFailure) in try self.style(node) }
        var rule = try match.checked { text throws(MappingError) in
            try MappingRule(text, style: style ?? defaults.style, place: match.place)
        }
        rule.kinds = try kinds(fields["match_metric_type"])
        rule.isDrop = try isDrop(fields["action"])
        try readNames(fields, of: node, into: &rule)
        rule.buckets = try buckets(fields) ?? defaults.buckets
        if let flag = fields["honor_labels"] { rule.honorsTags = try flag.boolean() }
        if let help = fields["help"] { rule.help = try help.text() }
        if let scale = fields["scale"] {
            rule.scale = try scale.number()
            guard let factor = rule.scale, factor.isFinite, factor > 0 else {
                throw scale.fault("scale must be a number above zero")
            }
        }
        rule.isMilliseconds = try isMilliseconds(fields["unit"])
        try readObserver(fields)
        rule.expirySeconds = try expirySeconds(fields) ?? defaults.expirySeconds
        return rule
    }

    private func readNames(
        _ fields: [String: YAMLNode], of node: YAMLNode, into rule: inout MappingRule
    ) throws(StartFailure) {
        let groups = rule.groupNames
        func template(_ node: YAMLNode) throws(StartFailure) -> MappingTemplate {
            try node.checked { text throws(MappingError) in try MappingTemplate(text, groupNames: groups) }
        }
        if let name = fields["name"] {
            guard try !name.text().isEmpty else { throw name.fault("the name is empty") }
            rule.name = try template(name)
        } else if !rule.isDrop, fields["tags"] == nil, fields["labels"] == nil {
            throw node.fault("a mapping needs a name, labels or tags, or action: drop")
        }
        for (key, value) in try fields["labels"]?.pairs() ?? [] {
            rule.labels.append((try key.text(), try template(value)))
        }
        if let tags = fields["tags"] {
            rule.tags = []
            for (from, to) in try tags.pairs() { rule.tags?.append((try from.text(), try to.text())) }
        }
        if let count = fields["count_name"] { rule.countName = try template(count) }
    }

    private func kinds(_ node: YAMLNode?) throws(StartFailure) -> Set<MetricKind> {
        guard let node else { return [] }
        switch try node.text() {
        case "counter": return [.counter]
        case "gauge": return [.gauge]
        case "observer": return [.timer, .histogram, .distribution]
        case "timer": return [.timer]
        case "set": return [.set]
        default: throw node.fault("match_metric_type must be counter, gauge, observer, timer or set")
        }
    }

    private func isDrop(_ node: YAMLNode?) throws(StartFailure) -> Bool {
        switch try node?.text() {
        case nil, "map": return false
        case "drop": return true
        case .some(let other): throw node?.fault("action '\(other)' must be map or drop") ?? .init(.configuration, "")
        }
    }

    private func isMilliseconds(_ node: YAMLNode?) throws(StartFailure) -> Bool {
        switch try node?.text() {
        case nil, "seconds": return false
        case "milliseconds": return true
        case .some(let other):
            throw node?.fault("unit '\(other)' must be seconds or milliseconds") ?? .init(.configuration, "")
        }
    }

    // MARK: relabelling

    private func relabelRule(_ node: YAMLNode) throws(StartFailure) -> RelabelRule {
        let fields = try node.fields([
            "source_labels", "separator", "regex", "action", "target_label", "replacement",
        ])
        let actions = RelabelRule.Action.allCases.map(\.rawValue).joined(separator: ", ")
        var action = RelabelRule.Action.replace
        if let given = fields["action"] {
            guard let known = RelabelRule.Action(rawValue: try given.text()) else {
                throw given.fault("action must be one of \(actions)")
            }
            action = known
        }
        var sources: [String] = []
        for item in try fields["source_labels"]?.items() ?? [] { sources.append(try item.text()) }
        let separator = try fields["separator"]?.text() ?? ";"
        let regex = try fields["regex"]?.text() ?? "(.*)"
        let target = try fields["target_label"]?.text()
        let replacement = try fields["replacement"]?.text() ?? "$1"
        do throws(MappingError) {
            return try RelabelRule(
                action, sourceLabels: sources, separator: separator, regex: regex, targetLabel: target,
                replacement: replacement, place: node.place)
        } catch { throw (fields["regex"] ?? node).fault("\(error)") }
    }
}
