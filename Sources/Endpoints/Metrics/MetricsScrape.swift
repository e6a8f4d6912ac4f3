internal import Bytes
internal import MetricsEngine
internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// `GET /metrics`: the tenant's series, then for the default tenant Crest's own, which tell of all tenants, in the
    /// format the client prefers.
    func scrape(_ request: Request) -> Response {
        let negotiation = ScrapeNegotiation(
            accept: joined(request, "accept"), acceptEncoding: joined(request, "accept-encoding"))
        let plain: [UInt8]
        if negotiation.format == .protobuf {
            plain = exposition(by: PrometheusProtobufWriter(reserving: 64 << 10), nativeSchema: nativeSchema)
        } else {
            plain = exposition(by: PrometheusTextWriter(format: negotiation.format, reserving: 64 << 10))
        }
        var headers = [
            (name: "content-type", value: negotiation.contentType), (name: "vary", value: "accept, accept-encoding"),
        ]
        if negotiation.usesGzip, let body = gzipped(plain) {
            headers.append((name: "content-encoding", value: "gzip"))
            return Response(status: 200, headers: headers, body: body)
        }
        return Response(status: 200, headers: headers, body: plain)
    }

    /// All values of a header that may be repeated.
    private func joined(_ request: Request, _ name: String) -> String? {
        let values = request.headers.filter { $0.name == name }.map(\.value)
        return values.isEmpty ? nil : values.joined(separator: ",")
    }

    /// - Parameter nativeSchema: the finest schema of native histograms; nil leaves them out.
    private func exposition<Writer: FamilyWriter>(by empty: Writer, nativeSchema: Int? = nil) -> [UInt8] {
        var writer = empty
        writeApplicationSeries(to: &writer, nativeSchema)
        if owner.isDefault { writeSelfMetrics(to: &writer) }
        return writer.finished()
    }

    private func writeApplicationSeries<Writer: FamilyWriter>(to writer: inout Writer, _ nativeSchema: Int?) {
        var kind = MetricFamilyKind.gauge
        var isOpen = false
        engine.forEachSeries(nowNanoseconds: Int64(clamping: now())) { family in
            kind = family.kind
            isOpen = writer.beginFamily(
                name: family.name, kind: Self.exposition(of: kind), help: family.help,
                bounds: family.bounds)
        } series: { row in
            guard isOpen else { return }
            switch kind {
            case .counter:
                let reading = CounterReading(
                    value: row.value, startNanoseconds: row.startNanoseconds, exemplar: row.exemplars.first?.exemplar)
                writer.counter(reading, labels: row.labels)
            case .gauge, .distinct: writer.gauge(row.value, labels: row.labels)
            case .histogram:
                let reading = HistogramReading(
                    classic: row.classic, sum: row.sum, startNanoseconds: row.startNanoseconds,
                    exemplars: row.exemplars, native: nativeSchema.flatMap { row.nativeBuckets(schema: $0) })
                writer.histogram(reading, labels: row.labels)
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

    private func writeSelfMetrics<Writer: FamilyWriter>(to writer: inout Writer) {
        let contributed = selfMetrics()
        let names = Set(contributed.map(\.name))
        let own =
            engine.selfMetrics + engine.recorderMetrics + ledger.selfMetrics + owner.counters.selfMetrics
            + (spanMetrics?.selfMetrics ?? []) + ProcessMetrics.families()
        for family in contributed + own.filter({ !names.contains($0.name) }) { write(family, to: &writer) }
        write(
            .gauge("crest_exposition_samples", "Samples of this scrape before this one.", Double(writer.sampleCount)),
            to: &writer)
        write(
            .gauge(
                "crest_exposition_family_errors", "Families left out of this scrape.", Double(writer.familyErrors)),
            to: &writer)
    }

    private func write<Writer: FamilyWriter>(_ family: SelfMetricFamily, to writer: inout Writer) {
        let name = family.isCounter && family.name.hasSuffix("_total") ? String(family.name.dropLast(6)) : family.name
        let kind: ExpositionKind = family.isCounter ? .counter : .gauge
        guard writer.beginFamily(name: name, kind: kind, help: family.help, bounds: []) else { return }
        for sample in family.samples {
            let labels = sample.labels.map { MetricLabel($0.name, $0.value) }
            let text = engine.labelText(labels)
            text.withUnsafeBytes { bytes in
                if family.isCounter {
                    writer.counter(CounterReading(value: sample.value), labels: bytes)
                } else {
                    writer.gauge(sample.value, labels: bytes)
                }
            }
        }
    }
}
