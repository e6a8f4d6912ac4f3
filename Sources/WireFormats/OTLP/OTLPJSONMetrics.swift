package import Telemetry

/// Decodes an OTLP `ExportMetricsServiceRequest` in JSON form, to the same result as its protobuf form.
/// - Throws: for text that is not JSON or has a value of the wrong type; nothing of the body counts then.
/// - Source: schemas/wire/otlp.md, "Metrics".
package func decodeOTLPMetricsJSON(_ body: UnsafeRawBufferPointer) throws(WireError) -> MetricPoints {
    var decoder = OTLPJSONMetrics(body)
    try decoder.decodeRequest()
    return decoder.collector.points
}

/// Request, resource, scope and metric. What describes points may stand behind them: it is filled in at the end.
struct OTLPJSONMetrics {
    var json: JSONReader
    var collector = PointCollector()

    init(_ body: UnsafeRawBufferPointer) { json = JSONReader(body) }

    /// Calls `field` for every key whose value is not null.
    mutating func object(
        _ field: (inout OTLPJSONMetrics, JSONString) throws(WireError) -> Void
    ) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            try field(&self, key)
        }
    }

    /// Calls `element` for every element, and names its place in errors.
    mutating func list(
        _ name: String, _ element: (inout OTLPJSONMetrics, Int) throws(WireError) -> Void
    ) throws(WireError) {
        try json.beginArray()
        var index = 0
        while try json.nextElement() {
            do { try element(&self, index) } catch { throw error.within("\(name)[\(index)]") }
            index += 1
        }
    }

    mutating func decodeRequest() throws(WireError) {
        try object { (own, key) throws(WireError) in
            guard key.equals("resourceMetrics") else { return try own.json.skipValue() }
            try own.list("resourceMetrics") { (own, index) throws(WireError) in
                own.collector.place.resource = index
                try own.decodeResourceMetrics()
            }
        }
        try json.finish()
    }

    private mutating func decodeResourceMetrics() throws(WireError) {
        collector.beginResource()
        var resource = MetricPoints.Resource()
        try object { (own, key) throws(WireError) in
            switch key {
            case "resource":
                try own.object { (own, key) throws(WireError) in
                    guard key.equals("attributes") else { return try own.json.skipValue() }
                    let all = try own.attributes()
                    resource.attributes = Array(all.prefix(Limits.attributesPerPoint))
                }
            case "scopeMetrics":
                try own.list("scopeMetrics") { (own, index) throws(WireError) in
                    own.collector.place.scope = index
                    try own.decodeScopeMetrics()
                }
            default: try own.json.skipValue()
            }
        }
        collector.set(resource)
    }

    private mutating func decodeScopeMetrics() throws(WireError) {
        collector.beginScope(MetricPoints.Scope())
        var scope = MetricPoints.Scope()
        try object { (own, key) throws(WireError) in
            switch key {
            case "scope":
                try own.object { (own, key) throws(WireError) in
                    switch key {
                    case "name": scope.name = try own.json.readString().text
                    case "version": scope.version = try own.json.readString().text
                    case "attributes": scope.attributes = Array(try own.attributes().prefix(Limits.attributesPerPoint))
                    default: try own.json.skipValue()
                    }
                }
            case "metrics":
                try own.list("metrics") { (own, index) throws(WireError) in
                    own.collector.place.metric = index
                    try own.decodeMetric()
                }
            default: try own.json.skipValue()
            }
        }
        collector.set(scope)
    }

    private mutating func decodeMetric() throws(WireError) {
        var metric = MetricPoints.Metric()
        collector.beginMetric()
        try object { (own, key) throws(WireError) in
            switch key {
            case "name": metric.name = Array(try own.json.readString().text.utf8)
            case "description": metric.description = try own.json.readString().text
            case "unit": metric.unit = try own.json.readString().text
            case "gauge": try own.decodeData(.gauge, of: &metric)
            case "sum": try own.decodeData(.sum, of: &metric)
            case "histogram": try own.decodeData(.histogram, of: &metric)
            case "exponentialHistogram": try own.decodeData(.exponentialHistogram, of: &metric)
            case "summary": try own.decodeData(.summary, of: &metric)
            default: try own.json.skipValue()
            }
        }
        collector.set(metric)
    }

    private mutating func decodeData(
        _ shape: MetricShape, of metric: inout MetricPoints.Metric
    ) throws(WireError) {
        metric.shape = shape
        try object { (own, key) throws(WireError) in
            switch key {
            case "dataPoints":
                try own.list("dataPoints") { (own, _) throws(WireError) in
                    var draft = PointDraft()
                    try own.object { (own, key) throws(WireError) in try own.decodeField(key, into: &draft) }
                    own.collector.add(draft.finished(shape))
                }
            case "aggregationTemporality":
                let value = UInt8(exactly: try own.json.readUInt64()) ?? 0
                metric.temporality = Temporality(rawValue: value) ?? .unspecified
            case "isMonotonic": metric.isMonotonic = try own.json.readBool()
            default: try own.json.skipValue()
            }
        }
    }
}
