package import Bytes

/// One condition on a label; an absent label has the empty value.
package struct RecordMatcher: Sendable {
    package enum Test: Sendable {
        case equal(String)
        case notEqual(String)
        /// Anchored at both ends.
        case matches(LinearRegex)
        case matchesNot(LinearRegex)
    }

    package var label: String
    package var test: Test

    package init(label: String, test: Test) {
        self.label = label
        self.test = test
    }

    package func includes(_ value: String) -> Bool {
        switch test {
        case .equal(let wanted): value == wanted
        case .notEqual(let unwanted): value != unwanted
        case .matches(let regex): regex.matches(value)
        case .matchesNot(let regex): !regex.matches(value)
        }
    }
}

/// Which recorded series a query means.
package struct RecordSelector: Sendable {
    /// A family's name, or one of the names its samples have on a scrape; nil: all.
    package var name: String?
    /// Conditions on the names of samples: one of a family's names must meet all of them.
    package var sampleNames: [RecordMatcher]
    package var labels: [RecordMatcher]

    package init(name: String? = nil, sampleNames: [RecordMatcher] = [], labels: [RecordMatcher] = []) {
        self.name = name
        self.sampleNames = sampleNames
        self.labels = labels
    }

    func includes(family: String, kind: MetricFamilyKind) -> Bool {
        let names = RecordedSeries.sampleNames(of: family, kind)
        if let name, name != family, !names.contains(name) { return false }
        return sampleNames.isEmpty || names.contains { name in sampleNames.allSatisfy { $0.includes(name) } }
    }

    func includes(labels text: UnsafeRawBufferPointer) -> Bool {
        guard !labels.isEmpty else { return true }
        let known = MetricNaming.labels(of: text)
        return labels.allSatisfy { matcher in
            matcher.includes(known.first { $0.name == matcher.label }?.value ?? "")
        }
    }

    /// The one family that can match, when the name says so: first and last name it may have.
    func mayMatch(firstFamily: [UInt8], lastFamily: [UInt8]) -> Bool {
        guard let exact = exactName else { return true }
        let suffixes = ["", "_total", "_bucket", "_sum", "_count"]
        return suffixes.contains { suffix in
            guard exact.hasSuffix(suffix) else { return false }
            let family = Array(exact.dropLast(suffix.count).utf8)
            return !family.lexicographicallyPrecedes(firstFamily) && !lastFamily.lexicographicallyPrecedes(family)
        }
    }

    private var exactName: String? {
        if let name { return name }
        for matcher in sampleNames { if case .equal(let value) = matcher.test { return value } }
        return nil
    }
}
