/// What a query gives. Times are unix milliseconds.
package enum PromResult: Sendable {
    case scalar(time: Int64, value: Double)
    case string(time: Int64, value: String)
    /// Each series with one sample, at the time of the query.
    case vector([SampledSeries])
    case matrix([SampledSeries])
}

/// An element of an instant vector; the series is a number of the evaluation's ``LabelTable``.
struct PromSample: Sendable {
    var series: Int
    var value: Double
}
