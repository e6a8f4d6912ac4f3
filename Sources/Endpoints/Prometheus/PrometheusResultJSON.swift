internal import QueryEngine
internal import WireFormats

/// `{"resultType":"matrix","result":[{"metric":{},"values":[[1600000000.5,"1"]]}]}`
enum PrometheusResultJSON {
    static func write(_ result: PromResult, to json: inout JSONWriter) {
        json.beginObject()
        switch result {
        case .scalar(let time, let value):
            json.string("resultType", "scalar")
            json.key("result")
            json.raw(point(time, value))
        case .string(let time, let value):
            json.string("resultType", "string")
            json.key("result")
            json.beginArray()
            json.raw(timestamp(time))
            json.string(value)
            json.endArray()
        case .vector(let series):
            json.string("resultType", "vector")
            write(series, isRange: false, to: &json)
        case .matrix(let series):
            json.string("resultType", "matrix")
            write(series, isRange: true, to: &json)
        }
        json.endObject()
    }

    private static func write(_ list: [SampledSeries], isRange: Bool, to json: inout JSONWriter) {
        json.key("result")
        json.beginArray()
        for series in list {
            json.beginObject()
            json.key("metric")
            write(labels: series.labels, to: &json)
            if isRange {
                json.key("values")
                json.raw(points(series))
            } else if let time = series.timestamps.first, let value = series.values.first {
                json.key("value")
                json.raw(point(time, value))
            }
            json.endObject()
        }
        json.endArray()
    }

    static func write(labels: [(name: String, value: String)], to json: inout JSONWriter) {
        json.beginObject()
        for (name, value) in labels {
            json.key(escaping: name)
            json.string(value)
        }
        json.endObject()
    }

    private static func points(_ series: SampledSeries) -> [UInt8] {
        var bytes: [UInt8] = [UInt8(ascii: "[")]
        for (time, value) in zip(series.timestamps, series.values) {
            if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
            bytes += point(time, value)
        }
        bytes.append(UInt8(ascii: "]"))
        return bytes
    }

    private static func point(_ time: Int64, _ value: Double) -> [UInt8] {
        [UInt8(ascii: "[")] + timestamp(time) + ",\"\(PromNumberText.text(value))\"]".utf8
    }

    /// Seconds, with three digits behind the point unless they are zero.
    static func timestamp(_ milliseconds: Int64) -> [UInt8] {
        let magnitude = milliseconds.magnitude
        var text = (milliseconds < 0 ? "-" : "") + String(magnitude / 1_000)
        let rest = magnitude % 1_000
        if rest > 0 { text += "." + (rest < 10 ? "00" : rest < 100 ? "0" : "") + String(rest) }
        return Array(text.utf8)
    }
}
