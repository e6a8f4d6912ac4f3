/// A condition on one label of a series. A label that a series does not have reads as the empty text.
package struct LabelMatcher: Hashable, Sendable {
    package enum Kind: Hashable, Sendable {
        /// `=` and `!=`.
        case equal, notEqual
        /// `=~` and `!~`: the pattern must match the whole value.
        case matches, matchesNot
    }

    package var name: String
    package var kind: Kind
    /// The text to compare with, or the pattern.
    package var value: String

    package init(name: String, kind: Kind, value: String) {
        self.name = name
        self.kind = kind
        self.value = value
    }
}

/// One series with the samples of a time range.
package struct SampledSeries: Sendable {
    /// Sorted by name, `__name__` included; no value is empty.
    package var labels: [(name: String, value: String)]
    /// Unix milliseconds, ascending, each once.
    package var timestamps: [Int64]
    /// One for each timestamp.
    package var values: [Double]

    package init(labels: [(name: String, value: String)], timestamps: [Int64], values: [Double]) {
        self.labels = labels
        self.timestamps = timestamps
        self.values = values
    }
}

/// Why a source gives no series.
package enum SampleSourceError: Error, Hashable, Sendable {
    /// More than `Limits.querySeries` match.
    case tooManySeries
}

/// Where the samples of a PromQL query come from.
///
/// Called from any thread, many times at once.
package protocol SampleSource: Sendable {
    /// The series that pass all matchers, no label set twice. A series without a sample in the range may be left out.
    /// - Parameters:
    ///   - matchers: patterns are known to be good; ``MatcherSet`` applies them.
    ///   - from: unix milliseconds, inclusive; `through` as well.
    /// - Throws: `ReadError` when the samples could not be read, ``SampleSourceError``; anything else is told as a
    ///   failure of storage.
    func series(matching matchers: [LabelMatcher], from: Int64, through: Int64) throws -> [SampledSeries]

    /// The label sets of the series that pass all matchers and have a sample in the range.
    func labelSets(
        matching matchers: [LabelMatcher], from: Int64, through: Int64
    ) throws -> [[(name: String, value: String)]]
}

extension SampleSource {
    package func labelSets(
        matching matchers: [LabelMatcher], from: Int64, through: Int64
    ) throws -> [[(name: String, value: String)]] {
        try series(matching: matchers, from: from, through: through).filter { !$0.timestamps.isEmpty }.map(\.labels)
    }
}
