package import Telemetry

/// One series of a family, as it stands now. Borrowed: good only inside the call that hands it out.
package struct SeriesRow {
    /// The text between the braces of a sample line, escaped; empty without labels.
    package let labels: UnsafeRawBufferPointer
    /// Counters and gauges.
    package let value: Double
    /// Histograms: weight per classic bucket, not cumulated, the one above all bounds last.
    package let classic: [Double]
    package let sum: Double
    /// Unix second of the first value, over all restarts, or the one from which the sender says that it counts.
    package let startSecond: Int64
    /// The last exemplar of each classic bucket that has one; at most one for a counter.
    package let exemplars: [BucketExemplar]
    let histogram: MetricsStore.Histogram?

    /// Unix nanoseconds from which counters and histograms count.
    package var startNanoseconds: Int64 { startSecond &* 1_000_000_000 }

    /// The exponential buckets of a histogram at `schema`, or coarser when they are held so; nil when they are only
    /// estimates. Their weights add up to those of `classic`.
    package func nativeBuckets(schema: Int) -> NativeBuckets? {
        guard let histogram, !histogram.isEstimate else { return nil }
        return histogram.buckets.native(schema: schema)
    }
}

extension MetricsEngine {
    /// Labels as text between the braces of a sample line: sanitised, sorted, escaped.
    package func labelText(_ labels: [MetricLabel]) -> [UInt8] { MetricNaming.labelText(labels).text }

    /// Hands out every family and then its series, in the order they were first seen. One consistent state: no closed
    /// second is merged meanwhile.
    package func forEachSeries(
        nowNanoseconds: Int64, family: (MetricFamily) -> Void, series: (SeriesRow) -> Void
    ) {
        withStore(nowNanoseconds: nowNanoseconds) { store in
            for (index, metricFamily) in store.families.enumerated() {
                var isOpen = false
                for id in store.members[index] where store.isPresent(id) {
                    if !isOpen {
                        family(metricFamily)
                        isOpen = true
                    }
                    let histogram = metricFamily.kind == .histogram ? store.histogram(id) : nil
                    series(
                        SeriesRow(
                            labels: store.series[Int(id)].labels, value: store.values[Int(id)],
                            classic: histogram?.classic ?? [], sum: histogram?.sum ?? 0,
                            startSecond: store.starts[Int(id)], exemplars: store.exemplars.of(id),
                            histogram: histogram))
                }
            }
        }
    }
}
