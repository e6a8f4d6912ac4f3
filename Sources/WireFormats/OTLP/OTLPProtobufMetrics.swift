internal import Bytes
package import Telemetry

/// Decodes an OTLP `ExportMetricsServiceRequest` in protobuf form.
///
/// Unknown fields are skipped, fields may come in any order. A point that passes a limit is named as rejected and costs
/// only itself; whether its values make sense is for the engine to say.
/// - Throws: for bytes that are not this message, invalid UTF-8 among them; nothing of the body counts then.
/// - Source: schemas/wire/otlp.md, "Metrics"; opentelemetry-proto metrics.proto.
package func decodeOTLPMetrics(_ body: UnsafeRawBufferPointer) throws(WireError) -> MetricPoints {
    var decoder = OTLPProtobufMetrics()
    if var cursor = ProtobufCursor(body) { try decoder.decodeRequest(&cursor) }
    return decoder.collector.points
}

/// Request, resource, scope and metric.
struct OTLPProtobufMetrics {
    var collector = PointCollector()

    mutating func decodeRequest(_ cursor: inout ProtobufCursor) throws(WireError) {
        try cursor.forEachMessage(1, "resourceMetrics", isChecked: false) { (index, message) throws(WireError) in
            collector.place.resource = index
            try decodeResourceMetrics(message)
        }
    }

    private mutating func decodeResourceMetrics(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        collector.beginResource()
        var resource = MetricPoints.Resource()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): try decodeResource(try cursor.readMessage(), into: &resource)
            case bytesTag(2), bytesTag(3): _ = try cursor.readBytes()
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        collector.set(resource)
        cursor = message
        try cursor.forEachMessage(2, "scopeMetrics", isChecked: true) { (index, message) throws(WireError) in
            collector.place.scope = index
            try decodeScopeMetrics(message)
        }
    }

    private func decodeResource(
        _ message: ProtobufCursor, into resource: inout MetricPoints.Resource
    ) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(1) else {
                try cursor.skip(tag, known: 1 << 1)
                continue
            }
            let attribute = try OTLPLabelValue.readPair(try cursor.readMessage())
            if !attribute.key.isEmpty, resource.attributes.count < Limits.attributesPerPoint {
                resource.attributes.append(attribute)
            }
        }
    }

    private mutating func decodeScopeMetrics(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var scope = MetricPoints.Scope()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): try decodeScope(try cursor.readMessage(), into: &scope)
            case bytesTag(2), bytesTag(3): _ = try cursor.readBytes()
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        collector.beginScope(scope)
        cursor = message
        try cursor.forEachMessage(2, "metrics", isChecked: true) { (index, message) throws(WireError) in
            collector.place.metric = index
            try decodeMetric(message)
        }
    }

    private func decodeScope(_ message: ProtobufCursor, into scope: inout MetricPoints.Scope) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): scope.name = try OTLPLabelValue.readText(&cursor)
            case bytesTag(2): scope.version = try OTLPLabelValue.readText(&cursor)
            case bytesTag(3):
                let attribute = try OTLPLabelValue.readPair(try cursor.readMessage())
                if !attribute.key.isEmpty, scope.attributes.count < Limits.attributesPerPoint {
                    scope.attributes.append(attribute)
                }
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
    }

    private mutating func decodeMetric(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var metric = MetricPoints.Metric()
        var data: ProtobufCursor?
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): metric.name = Array(try OTLPLabelValue.readText(&cursor).utf8)
            case bytesTag(2): metric.description = try OTLPLabelValue.readText(&cursor)
            case bytesTag(3): metric.unit = try OTLPLabelValue.readText(&cursor)
            case bytesTag(5): (metric.shape, data) = (.gauge, try cursor.readMessage())
            case bytesTag(7): (metric.shape, data) = (.sum, try cursor.readMessage())
            case bytesTag(9): (metric.shape, data) = (.histogram, try cursor.readMessage())
            case bytesTag(10): (metric.shape, data) = (.exponentialHistogram, try cursor.readMessage())
            case bytesTag(11): (metric.shape, data) = (.summary, try cursor.readMessage())
            default: try cursor.skip(tag, known: 0b1110_1010_1110)
            }
        }
        guard let data else { return }
        collector.beginMetric()
        try decodeData(data, of: &metric)
        collector.set(metric)
    }

    private mutating func decodeData(
        _ message: ProtobufCursor, of metric: inout MetricPoints.Metric
    ) throws(WireError) {
        var cursor = message
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let inner = try cursor.readMessage()
                var draft = PointDraft()
                do throws(WireError) {
                    switch metric.shape {
                    case .gauge, .sum: try decodeNumberPoint(inner, into: &draft)
                    case .histogram: try decodeHistogramPoint(inner, into: &draft)
                    case .exponentialHistogram: try decodeExponentialPoint(inner, into: &draft)
                    case .summary: try decodeSummaryPoint(inner, into: &draft)
                    }
                } catch { throw error.within("dataPoints[\(index)]") }
                collector.add(draft.finished(metric.shape))
                index += 1
            case varintTag(2):
                metric.temporality = Temporality(rawValue: UInt8(exactly: try cursor.readVarint()) ?? 0) ?? .unspecified
            case varintTag(3): metric.isMonotonic = try cursor.readVarint() != 0
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
    }
}
