/// What a metric line names, on its way to a series: first as sent, then as profiles, mapping and relabelling leave it.
package struct MetricIdentity: Hashable, Sendable {
    /// Valid UTF-8; not yet sanitised.
    package var name: [UInt8]
    /// Keys may repeat: the first one wins.
    package var labels: [MetricLabel]
    /// Decides the family. A `|d` line may be a timer here, when a profile knows that it holds milliseconds.
    package var kind: MetricKind
    /// The name as sent, for the family's help text.
    package var sentName: [UInt8]

    /// The name is the operator's own words: neither a unit nor a suffix is added to it, but `_total` on counters.
    package var isExactName = false
    /// Keys of labels that a rule of the operator or a profile has set; these may be `job`, `instance` and, where the
    /// family is no histogram, `le` and `quantile`.
    package var ownKeys: Set<[UInt8]> = []
    /// Upper bounds of classic buckets, ascending, at most 23; nil: those of the unit.
    package var buckets: [Double]?
    /// Values are multiplied by this before they are recorded; a timer's milliseconds are made seconds without it.
    package var scale = 1.0
    /// A counter, under the same labels, that counts the observations of this histogram.
    package var countName: [UInt8]?
    package var help: String?
    /// Series of its family beyond which a new one goes to the overflow series; nil: as for all families.
    package var seriesLimit: Int?
    /// Seconds without an update after which its series expires; nil: as for its type.
    package var expirySeconds: Int64?

    package init(name: [UInt8], labels: [MetricLabel], kind: MetricKind) {
        self.name = name
        self.labels = labels
        self.kind = kind
        sentName = name
    }

    /// The value of the first label with this key.
    package subscript(_ key: String) -> [UInt8]? {
        let key = Array(key.utf8)
        return labels.first { $0.key == key }?.value
    }

    /// Sets a label in the name of the operator, in place of all others with this key; an empty value removes them.
    package mutating func set(_ key: [UInt8], _ value: [UInt8]) {
        let place = labels.firstIndex { $0.key == key } ?? labels.count
        labels.removeAll { $0.key == key }
        guard !value.isEmpty else { return }
        labels.insert(MetricLabel(key: key, value: value), at: min(place, labels.count))
        ownKeys.insert(key)
    }

    package mutating func remove(_ key: String) {
        let key = Array(key.utf8)
        labels.removeAll { $0.key == key }
    }
}
