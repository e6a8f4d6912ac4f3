internal import Bytes
internal import Telemetry

/// The fields of the five kinds of data point; those that two kinds share have one name in JSON.
extension OTLPJSONMetrics {
    mutating func decodeField(_ key: JSONString, into draft: inout PointDraft) throws(WireError) {
        switch key {
        case "attributes": for attribute in try attributes() { draft.add(attribute) }
        case "startTimeUnixNano": draft.point.start = try json.readUInt64()
        case "timeUnixNano": draft.point.time = try json.readUInt64()
        case "flags": draft.setFlags(UInt32(truncatingIfNeeded: try json.readUInt64()))
        case "asDouble": draft.number = try json.readDouble()
        case "asInt": draft.number = Double(try json.readInt64())
        case "count":
            let count = try json.readUInt64()
            (draft.explicit.count, draft.exponential.count, draft.summary.count) = (count, count, count)
        case "sum":
            let sum = try json.readDouble()
            (draft.explicit.sum, draft.exponential.sum, draft.summary.sum) = (sum, sum, sum)
        case "min":
            let least = try json.readDouble()
            (draft.explicit.least, draft.exponential.least) = (least, least)
        case "max":
            let greatest = try json.readDouble()
            (draft.explicit.greatest, draft.exponential.greatest) = (greatest, greatest)
        case "bucketCounts":
            draft.explicit.counts = []
            try json.beginArray()
            while try json.nextElement() { draft.append(count: try json.readUInt64()) }
        case "explicitBounds":
            draft.explicit.bounds = []
            try json.beginArray()
            while try json.nextElement() { draft.append(bound: try json.readDouble()) }
        case "exemplars": try decodeExemplars(into: &draft)
        case "scale": draft.exponential.scale = try int32()
        case "zeroCount": draft.exponential.zeroCount = try json.readUInt64()
        case "positive": try decodeBuckets(into: &draft, isNegative: false)
        case "negative": try decodeBuckets(into: &draft, isNegative: true)
        case "quantileValues": try decodeQuantiles(into: &draft)
        default: try json.skipValue()
        }
    }

    private mutating func int32() throws(WireError) -> Int {
        let start = json.offset
        guard let value = Int32(exactly: try json.readInt64()) else { throw WireError(.range, at: start) }
        return Int(value)
    }

    private mutating func decodeBuckets(into draft: inout PointDraft, isNegative: Bool) throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if try json.readNull() { continue }
            switch key {
            case "offset":
                let offset = try int32()
                if !isNegative { draft.exponential.offset = offset }
            case "bucketCounts":
                if !isNegative { draft.exponential.counts = [] }
                try json.beginArray()
                while try json.nextElement() {
                    draft.append(exponential: try json.readUInt64(), isNegative: isNegative)
                }
            default: try json.skipValue()
            }
        }
    }

    private mutating func decodeQuantiles(into draft: inout PointDraft) throws(WireError) {
        try json.beginArray()
        while try json.nextElement() {
            var entry = (quantile: 0.0, value: 0.0)
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.readNull() { continue }
                switch key {
                case "quantile": entry.quantile = try json.readDouble()
                case "value": entry.value = try json.readDouble()
                default: try json.skipValue()
                }
            }
            draft.append(quantile: entry)
        }
    }

    private mutating func decodeExemplars(into draft: inout PointDraft) throws(WireError) {
        try json.beginArray()
        while try json.nextElement() {
            var exemplar = Exemplar(traceID: TraceID(high: 0, low: 0), value: 0, nanoseconds: 0)
            try json.beginObject()
            while let key = try json.nextKey() {
                if try json.readNull() { continue }
                switch key {
                case "timeUnixNano": exemplar.nanoseconds = Int64(clamping: try json.readUInt64())
                case "asDouble": exemplar.value = try json.readDouble()
                case "asInt": exemplar.value = Double(try json.readInt64())
                case "traceId": exemplar.traceID = try identifier(digits: 32)
                case "spanId": exemplar.spanID = SpanID(try identifier(digits: 16).low)
                default: try json.skipValue()
                }
            }
            draft.add(exemplar)
        }
    }

    /// Zero for another number of digits than an id has.
    private mutating func identifier(digits: Int) throws(WireError) -> TraceID {
        let text = try json.readString()
        let bytes = text.withPlain { Array($0) }
        guard bytes.allSatisfy({ hexValue($0) != nil }) else { throw WireError(.identifier, at: text.offset) }
        let none = TraceID(high: 0, low: 0)
        return bytes.count == digits ? TraceID(hex: bytes) ?? none : none
    }

    // MARK: Attributes; the reader bounds how deeply they nest

    /// One more than a point may have at most, so that too many can be told.
    mutating func attributes() throws(WireError) -> [MetricLabel] {
        var labels: [MetricLabel] = []
        try json.beginArray()
        while try json.nextElement() {
            var text: [UInt8] = []
            let key = try readPair(isInside: false, to: &text)
            if !key.isEmpty, labels.count <= Limits.attributesPerPoint {
                labels.append(MetricLabel(key: Array(key.utf8), value: text))
            }
        }
        return labels
    }

    /// Appends the value and returns the key.
    private mutating func readPair(isInside: Bool, to text: inout [UInt8]) throws(WireError) -> String {
        var key = ""
        let start = text.count
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            switch name {
            case "key": key = try json.readString().text
            case "value":
                text.removeLast(text.count - start)
                try appendValue(isInside: isInside, to: &text)
            default: try json.skipValue()
            }
        }
        if text.count == start, isInside { text.append(contentsOf: "null".utf8) }
        return key
    }

    private mutating func appendValue(isInside: Bool, to text: inout [UInt8]) throws(WireError) {
        let start = text.count
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            switch name {
            case "stringValue", "bytesValue":
                let value = try json.readString().text
                if isInside { OTLPLabelValue.quote(value, to: &text) } else { text.append(contentsOf: value.utf8) }
            case "boolValue": LabelValueText.append(try json.readBool(), to: &text)
            case "intValue": LabelValueText.append(try json.readInt64(), to: &text)
            case "doubleValue": LabelValueText.append(try json.readDouble(), to: &text)
            case "arrayValue": try appendList(isMap: false, to: &text)
            case "kvlistValue": try appendList(isMap: true, to: &text)
            default: try json.skipValue()
            }
        }
        if text.count == start, isInside { text.append(contentsOf: "null".utf8) }
    }

    private mutating func appendList(isMap: Bool, to text: inout [UInt8]) throws(WireError) {
        text.append(UInt8(ascii: isMap ? "{" : "["))
        var isFirst = true
        try json.beginObject()
        while let name = try json.nextKey() {
            if try json.readNull() { continue }
            guard name.equals("values") else {
                try json.skipValue()
                continue
            }
            try json.beginArray()
            while try json.nextElement() {
                if !isFirst { text.append(UInt8(ascii: ",")) }
                isFirst = false
                if isMap {
                    var value: [UInt8] = []
                    OTLPLabelValue.quote(try readPair(isInside: true, to: &value), to: &text)
                    text.append(UInt8(ascii: ":"))
                    text.append(contentsOf: value)
                } else if try json.readNull() {
                    text.append(contentsOf: "null".utf8)
                } else {
                    try appendValue(isInside: true, to: &text)
                }
            }
        }
        text.append(UInt8(ascii: isMap ? "}" : "]"))
    }
}
