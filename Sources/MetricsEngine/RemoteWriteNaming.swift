internal import Telemetry

/// Name, labels and kind of a remote write series: what the sender said, as far as it can be shown again.
///
///     orders_total                     -> counter orders, shown as orders_total
///     up, latency_bucket{le="0.5"}     -> gauges of these names
///     latency with native histograms   -> histogram latency
///
/// A counter whose name does not end in `_total` is a gauge, because OpenMetrics has no other name for a counter;
/// `rate` and `histogram_quantile` see the same numbers in both.
/// Source: schemas/wire/remote-write.md, "What becomes of a series".
struct NamedSeries {
    let name: [UInt8]
    let isCounter: Bool
    let help: String
    private let labels: [MetricLabel]
    private let keys: Set<[UInt8]>

    init(
        _ series: RemoteWriteBatch.Series, _ batch: RemoteWriteBatch,
        _ metadata: [ArraySlice<UInt8>: RemoteWriteBatch.Metadata]
    ) throws(PointRejection) {
        var name: ArraySlice<UInt8> = []
        var labels: [MetricLabel] = []
        for label in batch.labels[series.labels] {
            guard !label.name.isEmpty else { throw .badLabels }
            let (key, value) = (batch.bytes(label.name), batch.bytes(label.value))
            if key.elementsEqual("__name__".utf8) {
                guard name.isEmpty else { throw .badLabels }
                name = value
            } else if !value.isEmpty {
                labels.append(MetricLabel(key: Array(key), value: Array(value)))
            }
        }
        guard !name.isEmpty else { throw .emptyName }
        let keys = Set(labels.map(\.key))
        guard keys.count == labels.count else { throw .badLabels }
        self.keys = keys
        let known = Self.metadata(of: name, metadata)
        let kind = known.isExact ? known.entry?.kind ?? series.kind : series.kind
        self.name = Array(name)
        self.labels = labels
        isCounter =
            (kind == .unknown || kind == .counter) && name.count > 6
            && name.suffix(6).elementsEqual("_total".utf8)
        let text = known.entry?.help ?? series.help
        help =
            text.isEmpty
            ? "Remote write metric \"\(String(decoding: name, as: UTF8.self))\""
            : String(decoding: batch.bytes(text), as: UTF8.self)
    }

    /// What a message of version 1 says of the family that has this sample name.
    private static func metadata(
        of name: ArraySlice<UInt8>, _ metadata: [ArraySlice<UInt8>: RemoteWriteBatch.Metadata]
    ) -> (entry: RemoteWriteBatch.Metadata?, isExact: Bool) {
        if metadata.isEmpty { return (nil, false) }
        if let entry = metadata[name] { return (entry, true) }
        for suffix in ["_total", "_bucket", "_sum", "_count"] where name.count > suffix.utf8.count {
            if name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8),
                let entry = metadata[name.dropLast(suffix.utf8.count)]
            {
                return (entry, false)
            }
        }
        return (nil, false)
    }

    var place: String { "series \"\(String(decoding: name, as: UTF8.self))\"" }

    /// The family name and the text between the braces of a sample line.
    func identity(_ kind: MetricFamilyKind) -> (family: String, labels: [UInt8]) {
        let metricKind: MetricKind =
            switch kind {
            case .counter: .counter
            case .gauge, .distinct: .gauge
            case .histogram: .histogram
            }
        // Prometheus' own labels are the sender's business here.
        let text = MetricNaming.labelText(labels, own: keys, isHistogram: kind == .histogram).text
        return (MetricNaming.familyName(of: name, kind: metricKind, isExact: true), text)
    }
}
