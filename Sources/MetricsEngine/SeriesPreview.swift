package import Telemetry

/// The series that an identity would go to.
package struct SeriesPreview: Sendable {
    package var family: MetricFamily
    /// As on a scrape, sorted.
    package var labels: [(name: String, value: String)]
    /// Labels of the identity that repeated the name of another and were left out.
    package var repeatedLabels: Int
    /// Upper bounds of a histogram's classic buckets, without `+Inf`.
    package var bounds: [Double]?
    /// The series is there already.
    package var isKnown = false
    /// A limit is reached: the samples would go to an overflow series.
    package var isOverflow = false

    init(family: MetricFamily, labels: [(name: String, value: String)], repeatedLabels: Int) {
        self.family = family
        self.labels = labels
        self.repeatedLabels = repeatedLabels
    }

    /// The family's name as its samples have it.
    package var sampleName: String { family.kind == .counter ? family.name + "_total" : family.name }
}

extension MetricIdentity {
    /// The counter that counts the observations of this histogram, when a rule asks for one.
    package var countingCounter: MetricIdentity? {
        guard let countName, kind == .timer || kind == .histogram || kind == .distribution else { return nil }
        var counter = MetricIdentity(name: countName, labels: labels, kind: .counter)
        counter.sentName = sentName
        counter.ownKeys = ownKeys
        counter.isExactName = true
        counter.seriesLimit = seriesLimit
        counter.expirySeconds = expirySeconds
        counter.help = "Observations of \"\(String(decoding: sentName, as: UTF8.self))\""
        return counter
    }
}
