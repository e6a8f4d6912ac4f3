internal import Bytes
internal import MetricsEngine
internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `GET /metrics`: the application's series, then Crest's own, in the format the client prefers.
    func scrape(_ request: Request) -> Response {
        let negotiation = ScrapeNegotiation(
            accept: joined(request, "accept"), acceptEncoding: joined(request, "accept-encoding"))
        var writer = PrometheusTextWriter(format: negotiation.format, reserving: 64 << 10)
        writeApplicationSeries(to: &writer)
        writeSelfMetrics(to: &writer)
        writer.finish()
        var headers = [
            (name: "content-type", value: negotiation.contentType), (name: "vary", value: "accept, accept-encoding"),
        ]
        if negotiation.usesGzip, let body = gzipped(writer.bytes) {
            headers.append((name: "content-encoding", value: "gzip"))
            return Response(status: 200, headers: headers, body: body)
        }
        return Response(status: 200, headers: headers, body: writer.bytes)
    }

    /// All values of a header that may be repeated.
    private func joined(_ request: Request, _ name: String) -> String? {
        let values = request.headers.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    private func writeApplicationSeries(to writer: inout PrometheusTextWriter) {
        var kind = MetricFamilyKind.gauge
        var isOpen = false
        engine.forEachSeries(nowNanoseconds: Int64(clamping: now())) { family in
            kind = family.kind
            isOpen = writer.beginFamily(
                name: family.name, kind: Self.exposition(of: kind), help: family.help,
                bounds: family.buckets?.bounds ?? [])
        } series: { row in
            guard isOpen else { return }
            switch kind {
            case .counter: writer.counter(labels: row.labels, value: row.value)
            case .gauge, .distinct: writer.gauge(labels: row.labels, value: row.value)
            case .histogram: writer.histogram(labels: row.labels, counts: row.classic, sum: row.sum)
            }
        }
    }

    private static func exposition(of kind: MetricFamilyKind) -> ExpositionKind {
        switch kind {
        case .counter: .counter
        case .gauge, .distinct: .gauge
        case .histogram: .histogram
        }
    }

    private func writeSelfMetrics(to writer: inout PrometheusTextWriter) {
        let contributed = selfMetrics()
        let names = Set(contributed.map(\.name))
        let own = engine.selfMetrics + ledger.selfMetrics + counters.selfMetrics + ProcessMetrics.families()
        for family in contributed + own.filter({ !names.contains($0.name) }) { write(family, to: &writer) }
        write(
            .gauge("crest_exposition_samples", "Samples of this scrape before this one.", Double(writer.sampleCount)),
            to: &writer)
        write(
            .gauge(
                "crest_exposition_family_errors", "Families left out of this scrape.", Double(writer.familyErrors)),
            to: &writer)
    }

    private func write(_ family: SelfMetricFamily, to writer: inout PrometheusTextWriter) {
        let name = family.isCounter && family.name.hasSuffix("_total") ? String(family.name.dropLast(6)) : family.name
        guard writer.beginFamily(name: name, kind: family.isCounter ? .counter : .gauge, help: family.help) else {
            return
        }
        for sample in family.samples {
            let labels = sample.labels.map { MetricLabel($0.name, $0.value) }
            let text = engine.labelText(labels)
            text.withUnsafeBytes { bytes in
                if family.isCounter {
                    writer.counter(labels: bytes, value: sample.value)
                } else {
                    writer.gauge(labels: bytes, value: sample.value)
                }
            }
        }
    }
}
