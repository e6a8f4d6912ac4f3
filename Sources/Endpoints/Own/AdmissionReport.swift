internal import Synchronization
internal import Telemetry
internal import WireFormats

/// `GET /api/crest/v1/admission`: how loaded the daemon is, and what each tenant has sent in the last minute.
/// Source: schemas/http-api.yaml, "Admission".
enum AdmissionReport {
    static func get(_ call: Call) -> Response {
        let admission = call.context.admission
        let budget = admission.budget
        var json = JSONWriter()
        json.beginObject()
        json.string("state", budget.signal.state.name)
        json.number("load", budget.loadPercent)
        json.key("memory")
        json.beginObject()
        json.number("limitBytes", budget.limitBytes)
        json.number("requestBytes", budget.requestBytes)
        json.number("reservedBytes", budget.reservedBytes)
        if let bound = budget.queueBound { json.number("queueBytes", bound) }
        json.number("residentBytes", budget.residentBytes)
        json.endObject()
        json.key("rates")
        json.beginObject()
        json.key("tenant")
        write(admission.settings.tenantRates, to: &json)
        json.key("source")
        write(admission.settings.sourceRates, to: &json)
        json.endObject()
        json.number("sources", admission.sources?.count ?? 0)
        json.number("windowSeconds", SlidingWindow.seconds)
        json.key("tenants")
        json.beginArray()
        for meter in admission.tenants.all { write(meter, admission, to: &json) }
        json.endArray()
        json.endObject()
        return .json(json.bytes)
    }

    private static func write(_ rates: RateLimits, to json: inout JSONWriter) {
        json.beginObject()
        if let bytes = rates.bytesPerSecond { json.number("bytesPerSecond", UInt64(bytes)) }
        if let spans = rates.spansPerSecond { json.number("spansPerSecond", UInt64(spans)) }
        json.endObject()
    }

    private static func write(_ meter: TenantMeter, _ admission: AdmissionControl, to json: inout JSONWriter) {
        let recent = meter.counts(now: admission.now).recent
        json.beginObject()
        json.string("tenant", meter.name)
        json.number("requests", recent.requests)
        json.number("bytes", recent.bytes)
        json.number("spans", recent.spans)
        json.number("refused", recent.refused)
        json.number("reservedBytes", meter.reserved.load(ordering: .relaxed))
        json.endObject()
    }
}

extension LoadState {
    var name: String {
        switch self {
        case .green: "green"
        case .yellow: "yellow"
        case .orange: "orange"
        case .red: "red"
        }
    }
}
