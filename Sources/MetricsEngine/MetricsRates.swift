internal import Telemetry

/// What grows fastest now.
package struct RateReport: Sendable {
    package struct Row: Sendable {
        /// As on a scrape, `_total` included.
        package var name: String
        package var kind: MetricFamilyKind
        /// Of one series; empty for a family.
        package var labels: [(name: String, value: String)]
        /// Series that grew.
        package var series: Int
        /// Counters: increase a second. Histograms: observations a second.
        package var perSecond: Double
    }

    /// How far the rates reach back: five to ten seconds, less after a start.
    package var seconds: Int64
    /// Fastest first.
    package var rows: [Row]
    /// Of everything, listed or not: families or series that grew.
    package var active: Int
}

extension MetricsEngine {
    /// The counters and histograms that grew most in the last seconds. Gauges and sets have no rate.
    /// - Parameters:
    ///   - bySeries: single series; false: families, with the sum of their series.
    ///   - name: only this family, in any form that queries take; nil: all.
    package func rates(top: Int, bySeries: Bool, name: String? = nil, nowNanoseconds: Int64) -> RateReport {
        withStore(nowNanoseconds: nowNanoseconds) { store in
            let seconds = store.rates.seconds(now: store.nowSecond)
            var found: [(family: Int, series: UInt32?, count: Int, growth: Double)] = []
            for (index, family) in store.families.enumerated() where matches(family, name) {
                guard family.kind == .counter || family.kind == .histogram else { continue }
                var total = 0.0
                var count = 0
                for id in store.members[index] {
                    let growth = store.rates.growth(Int(id), value: store.values[Int(id)])
                    guard growth > 0 else { continue }
                    if bySeries { found.append((index, id, 1, growth)) }
                    total += growth
                    count += 1
                }
                if !bySeries, count > 0 { found.append((index, nil, count, total)) }
            }
            found.sort { $0.growth > $1.growth }
            var rows: [RateReport.Row] = []
            for entry in found.prefix(top) {
                let family = store.families[entry.family]
                var row = RateReport.Row(
                    name: family.shownName, kind: family.kind, labels: [], series: entry.count,
                    perSecond: entry.growth / Double(seconds))
                if let id = entry.series { row.labels = MetricNaming.labels(of: store.series[Int(id)].labels) }
                rows.append(row)
            }
            return RateReport(seconds: seconds, rows: rows, active: found.count)
        }
    }
}
