/// The series of one Prometheus remote write request, decoded and not yet judged.
///
///     body <- labels <- series -> samples, histograms, exemplars          ranges, nothing is copied
package struct RemoteWriteBatch: Sendable {
    /// A text: bytes of ``body``.
    package typealias Text = Range<UInt32>

    package struct Label: Sendable {
        package var name: Text
        package var value: Text

        package init(name: Text, value: Text) {
            self.name = name
            self.value = value
        }
    }

    /// What a sender says that a metric is. Source: prompb `MetricMetadata.MetricType`.
    package enum Kind: UInt8, Sendable {
        case unknown, counter, gauge, histogram, gaugeHistogram, summary, info, stateSet
    }

    /// One value. Times are Unix milliseconds; a start of zero is unknown.
    package struct Sample: Sendable {
        package var value = 0.0
        package var time: Int64 = 0
        package var start: Int64 = 0

        /// The sender says that the series has ended.
        package var isStale: Bool { value.bitPattern == RemoteWriteBatch.staleBits }

        package init() {}
    }

    /// One native histogram, cumulative.
    package struct Histogram: Sendable {
        package enum Content: Sendable {
            case exponential(ExponentialPoint)
            /// Of custom bounds.
            case explicit(ExplicitPoint)
        }

        package var content = Content.exponential(ExponentialPoint())
        package var time: Int64 = 0
        package var start: Int64 = 0
        /// What forbids to apply it.
        package var defect: PointRejection?

        package var isStale: Bool {
            switch content {
            case .exponential(let point): point.sum.bitPattern == RemoteWriteBatch.staleBits
            case .explicit(let point): point.sum.bitPattern == RemoteWriteBatch.staleBits
            }
        }

        package init() {}
    }

    /// Each range names elements of the batch's array of that name.
    package struct Series: Sendable {
        package var labels = 0..<0
        package var samples = 0..<0
        package var histograms = 0..<0
        package var exemplars = 0..<0
        package var kind = Kind.unknown
        package var help: Text = 0..<0
        /// What forbids to apply anything of it.
        package var defect: PointRejection?

        package init() {}
    }

    /// What version 1 says of a family, apart from its series.
    package struct Metadata: Sendable {
        package var family: Text = 0..<0
        package var kind = Kind.unknown
        package var help: Text = 0..<0

        package init() {}
    }

    /// The value that ends a series.
    package static let staleBits: UInt64 = 0x7ff0_0000_0000_0002

    package let body: [UInt8]
    package var labels: [Label] = []
    package var series: [Series] = []
    package var samples: [Sample] = []
    package var histograms: [Histogram] = []
    /// Only those that name a trace.
    package var exemplars: [Exemplar] = []
    package var metadata: [Metadata] = []
    /// Samples and histograms that are not here, because the request passes a limit.
    package var leftOut = 0

    package init(body: [UInt8]) { self.body = body }

    package func bytes(_ text: Text) -> ArraySlice<UInt8> { body[Int(text.lowerBound)..<Int(text.upperBound)] }
}
