internal import Synchronization
internal import Telemetry

/// Who makes the series: the families, labels and sources with the most of them.
package struct CardinalityReport: Sendable {
    package struct Label: Sendable {
        package var name: String
        /// Distinct values: exact up to 256, then estimated to about 1 %.
        package var values: Double
        package var example: String
    }

    package struct Family: Sendable {
        /// As on a scrape, `_total` included.
        package var name: String
        package var kind: MetricFamilyKind
        /// Series held, overflow series not counted.
        package var series: Int
        /// Series that came in about the last minute.
        package var addedPerMinute: Double
        /// Keys that were sent to an overflow series.
        package var refused: UInt64
        /// By distinct values, most first; empty when the report had looked at enough series before.
        package var labels: [Label]
    }

    package struct Source: Sendable {
        package var name: String
        package var series: Int
        package var addedPerMinute: Double
        package var refused: UInt64
    }

    package var counts: SeriesCounts
    package var limits: SeriesLimits
    package var expiry: ExpiryCounts
    /// By series, most first.
    package var families: [Family]
    package var sources: [Source]
}

extension MetricsEngine {
    /// The families, and within each the labels, and the sources that hold the most series.
    /// - Parameter top: how many of each are named.
    package func cardinality(top: Int, nowNanoseconds: Int64) -> CardinalityReport {
        withStore(nowNanoseconds: nowNanoseconds) { store in
            let known = store.familyCount
            let (counts, states, sources, second, limits) = registry.withLock { registry in
                (
                    registry.counts, Array(registry.states.prefix(known)), registry.sources.states, registry.second,
                    registry.limits
                )
            }
            let largest = states.indices.sorted { left, right in
                let (left, right) = (states[left], states[right])
                return left.seriesCount == right.seriesCount
                    ? left.refused > right.refused : left.seriesCount > right.seriesCount
            }
            var report = CardinalityReport(
                counts: counts, limits: limits, expiry: store.expiryCounts, families: [], sources: [])
            var room = Limits.cardinalitySeries
            for index in largest.prefix(top) where states[index].seriesCount > 0 {
                let family = store.families[index]
                var texts: [UnsafeRawBufferPointer] = []
                for id in store.members[index].prefix(room) { texts.append(store.series[Int(id)].labels) }
                room -= texts.count
                report.families.append(
                    CardinalityReport.Family(
                        name: family.shownName, kind: family.kind, series: states[index].seriesCount,
                        addedPerMinute: states[index].growth.perMinute(second: second),
                        refused: states[index].refused,
                        labels: LabelCensus.count(texts)))
            }
            let ranked = sources.sorted { left, right in left.value.series > right.value.series }
            report.sources = ranked.prefix(top).map { name, state in
                CardinalityReport.Source(
                    name: LabelText.unescaped(name), series: state.series,
                    addedPerMinute: state.growth.perMinute(second: second), refused: state.refused)
            }
            return report
        }
    }

    /// Families that could not have the name they asked for, in the order they came.
    package var typeConflicts: [TypeConflict] { registry.withLock { $0.conflicts } }
}

/// Counts the distinct values of each label of a family.
private enum LabelCensus {
    private struct Entry {
        var name: [UInt8]
        var values = DistinctSet()
        var example: [UInt8]
    }

    static func count(_ texts: [UnsafeRawBufferPointer]) -> [CardinalityReport.Label] {
        var entries: [Entry] = []
        let hash = KeyedHash.random()
        for text in texts {
            // Series of a family mostly have the same labels in the same order.
            var expected = 0
            LabelText.forEach(text) { name, value in
                var index = expected
                if index >= entries.count || !name.elementsEqual(entries[index].name) {
                    index = entries.firstIndex { name.elementsEqual($0.name) } ?? entries.count
                }
                if index == entries.count {
                    guard entries.count < Limits.cardinalityLabels else { return }
                    entries.append(Entry(name: Array(name), example: Array(value)))
                }
                entries[index].values.insert(hash.hash(value, seed: 0))
                expected = index + 1
            }
        }
        let labels = entries.map {
            CardinalityReport.Label(
                name: String(decoding: $0.name, as: UTF8.self), values: $0.values.count,
                example: LabelText.unescaped($0.example))
        }
        return labels.sorted { $0.values > $1.values }
    }
}
