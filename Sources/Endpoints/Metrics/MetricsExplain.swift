internal import MetricsEngine
internal import Telemetry
internal import WireFormats

extension MetricsService {
    /// Lines that one request may ask about; more are cut.
    private static let explainedLines = 64

    /// `GET /api/crest/v1/explain?line=` and `POST` with lines as the body: every step from a line to its series. The
    /// steps are those of ingest, by the same code; nothing is recorded and no series is made.
    func explain(_ request: Request) -> Response {
        var text = request.body
        if request.method != "POST" {
            guard let query = try? QueryParameters(request.rawQuery), let line = query.nonEmpty("line") else {
                ledger.requestsRejected.add(1, .parameter)
                return OwnError.response(400, "give a line: ?line=name:1|c", parameter: "line")
            }
            text = Array(line.utf8)
        }
        let dialect = owner.dialects.current.dialect
        var reader = StatsDReader(signPolicy: dialect.signPolicy)
        var json = JSONWriter()
        json.beginObject()
        json.key("lines")
        json.beginArray()
        var count = 0
        var isCut = false
        text.withUnsafeBytes { bytes in
            reader.begin(bytes)
            while true {
                let outcome = reader.next()
                if outcome == .end { break }
                guard count < Self.explainedLines else {
                    isCut = true
                    break
                }
                count += 1
                explain(outcome, reader, &json)
            }
        }
        json.endArray()
        json.bool("isCut", isCut)
        json.endObject()
        return .json(json.bytes)
    }

    private func explain(_ outcome: StatsDOutcome, _ reader: borrowing StatsDReader, _ json: inout JSONWriter) {
        json.beginObject()
        json.string("line", String(decoding: reader.line.prefix(Limits.lineBytes), as: UTF8.self))
        switch outcome {
        case .end: break
        case .event: json.string("outcome", "event")
        case .rejected(let reason): write(reason, at: reader.rejectionOffset, to: &json)
        case .line, .serviceCheck:
            do throws(LineRejection) {
                let identity =
                    try outcome == .line
                    ? StatsDIdentity(name: reader.name, tags: reader.tags)
                    : StatsDIdentity(serviceCheck: reader.name, tags: reader.tags)
                json.string("outcome", "read")
                json.string("dialect", outcome == .line ? dialectName(reader) : "dogstatsd")
                writeDecoded(identity, reader, to: &json)
                writeTranslations(identity, reader, to: &json)
            } catch { write(error, at: nil, to: &json) }
        }
        json.endObject()
    }

    private func write(_ reason: LineRejection, at offset: Int?, to json: inout JSONWriter) {
        json.string("outcome", "rejected")
        json.string("reason", reason.rawValue)
        json.string("meaning", reason.explanation)
        if let offset { json.number("offset", offset) }
    }

    /// The family of clients whose way of tagging the line shows.
    private func dialectName(_ reader: borrowing StatsDReader) -> String {
        for byte in reader.name {
            switch byte {
            case UInt8(ascii: ","): return "influx"
            case UInt8(ascii: "#"): return "librato"
            case UInt8(ascii: ";"): return "graphite"
            case UInt8(ascii: "["): return "signalfx"
            default: continue
            }
        }
        let fields = reader.containerFields + reader.externalDataFields + reader.cardinalityFields
        return reader.tags.count > 0 || fields + reader.explicitTimestamps > 0 ? "dogstatsd" : "statsd"
    }

    private func writeDecoded(
        _ identity: StatsDIdentity, _ reader: borrowing StatsDReader, to json: inout JSONWriter
    ) {
        json.string("name", String(decoding: identity.name, as: UTF8.self))
        json.key("tags")
        write(identity.labels, to: &json)
        json.key("samples")
        json.beginArray()
        for sample in reader.samples.prefix(64) {
            json.beginObject()
            json.string("type", "\(sample.kind)")
            if sample.kind == .set {
                json.string("member", String(decoding: sample.member, as: UTF8.self))
            } else {
                json.number("value", sample.value)
            }
            if sample.weight != 1 { json.number("weight", sample.weight) }
            if sample.kind == .gauge { json.bool("isChange", sample.isDelta) }
            json.endObject()
        }
        json.endArray()
    }

    private func write(_ labels: [MetricLabel], to json: inout JSONWriter) {
        json.beginArray()
        for label in labels {
            json.beginObject()
            json.string("key", String(decoding: label.key, as: UTF8.self))
            json.string("value", String(decoding: label.value, as: UTF8.self))
            json.endObject()
        }
        json.endArray()
    }

    /// One entry for each kind that the line has samples of.
    private func writeTranslations(
        _ sent: StatsDIdentity, _ reader: borrowing StatsDReader, to json: inout JSONWriter
    ) {
        let translator = owner.dialects.current.dialect.translator
        json.key("series")
        json.beginArray()
        for kind in MetricKind.allCases where reader.samples.contains(where: { $0.kind == kind }) {
            var steps: [TranslationStep] = []
            let translation = translator.translate(sent, kind: kind) { steps.append($0) }
            json.beginObject()
            json.string("type", "\(kind)")
            json.key("steps")
            json.beginArray()
            for step in steps { write(step, to: &json) }
            json.endArray()
            switch translation {
            case .dropped: write(.droppedByRule, at: nil, to: &json)
            case .rejected(let reason): write(reason, at: nil, to: &json)
            case .series(let identity):
                json.string("outcome", "series")
                write(identity, sentAs: kind, to: &json)
            }
            json.endObject()
        }
        json.endArray()
    }

    private func write(_ step: TranslationStep, to json: inout JSONWriter) {
        json.beginObject()
        json.string("stage", step.stage.rawValue)
        json.string("rule", step.rule)
        if let identity = step.identity {
            json.string("name", String(decoding: identity.name, as: UTF8.self))
            json.key("tags")
            write(identity.labels, to: &json)
        }
        json.endObject()
    }

    private func write(_ identity: MetricIdentity, sentAs kind: MetricKind, to json: inout JSONWriter) {
        let preview = engine.preview(identity)
        json.string("name", preview.sampleName)
        json.string("metricType", preview.family.kind.typeName)
        json.string("help", preview.family.help)
        if identity.kind == .timer { json.string("unit", "seconds") }
        let scale = identity.scale * (kind == .timer ? 0.001 : 1)
        if scale != 1 { json.number("scale", scale) }
        writeLabels(preview, to: &json)
        if let bounds = preview.bounds {
            json.key("buckets")
            json.beginArray()
            for bound in bounds { json.number(bound) }
            json.endArray()
        }
        if let counter = identity.countingCounter { json.string("counter", engine.preview(counter).sampleName) }
        json.number("repeatedLabels", preview.repeatedLabels)
        json.bool("isKnown", preview.isKnown)
        json.bool("isOverflow", preview.isOverflow)
    }

    private func writeLabels(_ preview: SeriesPreview, to json: inout JSONWriter) {
        json.key("labels")
        json.beginObject()
        for label in preview.labels {
            json.key(escaping: label.name)
            json.string(label.value)
        }
        json.endObject()
    }
}

extension MetricFamilyKind {
    fileprivate var typeName: String {
        switch self {
        case .counter: "counter"
        case .gauge, .distinct: "gauge"
        case .histogram: "histogram"
        }
    }
}
