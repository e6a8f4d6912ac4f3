internal import Telemetry
internal import WireFormats

/// The OTLP metrics decoders: no trap, refusals that point into the body, owners that exist, limits that hold.
extension FuzzTarget {
    static let otlpMetrics = FuzzTarget(
        name: "otlp-metrics",
        seeds: {
            let histogram: [UInt8] =
                [0x21] + [2, 0, 0, 0, 0, 0, 0, 0] + [0x32, 16] + [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
                + [0x3a, 8, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]
            let exponential: [UInt8] = [0x21, 1, 0, 0, 0, 0, 0, 0, 0, 0x30, 6, 0x42, 5, 0x08, 3, 0x12, 1, 1]
            let number: [UInt8] = [0x31, 5, 0, 0, 0, 0, 0, 0, 0, 0x3a, 8, 0x0a, 1, 0x6b, 0x12, 3, 0x0a, 1, 0x76]
            return [(UInt8(7), number), (9, histogram), (10, exponential), (11, histogram), (5, number)].map {
                let data = [0x0a, UInt8($1.count)] + $1 + [0x10, 2]
                let metric = [0x0a, 1, 0x6d, $0 << 3 | 2, UInt8(data.count)] + data
                let scope = [0x12, UInt8(metric.count)] + metric
                let resource = [0x12, UInt8(scope.count)] + scope
                return [0x0a, UInt8(resource.count)] + resource
            }
        },
        check: { defect(of: $0, decodeOTLPMetrics) })

    static let otlpMetricsJSON = FuzzTarget(
        name: "otlp-metrics-json",
        seeds: {
            let body =
                #"{"resourceMetrics":[{"resource":{"attributes":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]},"#
                + #""scopeMetrics":[{"scope":{"name":"s"},"metrics":[{"name":"m","unit":"s","sum":{"isMonotonic":true,"#
                + #""aggregationTemporality":2,"dataPoints":[{"asInt":"5","flags":1}]}},{"name":"h","exponentialHistogram":"#
                + #"{"dataPoints":[{"count":"1","scale":3,"positive":{"offset":-2,"bucketCounts":["1"]}}]}}]}]}]}"#
            return [Array(body.utf8)]
        },
        check: { defect(of: $0, decodeOTLPMetricsJSON) })
}

private typealias Decoder = (UnsafeRawBufferPointer) throws(WireError) -> MetricPoints

private func defect(of input: [UInt8], _ decode: Decoder) -> String? {
    input.withUnsafeBytes { bytes in
        let points: MetricPoints
        do throws(WireError) { points = try decode(bytes) } catch {
            return (0...input.count).contains(error.offset) ? nil : "offset \(error.offset) of \(input.count)"
        }
        for point in points.points {
            guard points.metrics.indices.contains(point.metric) else { return "a point without a metric" }
            if point.attributes.count > Limits.attributesPerPoint { return "too many attributes" }
        }
        if !points.metrics.allSatisfy({ points.scopes.indices.contains($0.scope) }) { return "no scope" }
        if !points.scopes.allSatisfy({ points.resources.indices.contains($0.resource) }) { return "no resource" }
        return nil
    }
}
