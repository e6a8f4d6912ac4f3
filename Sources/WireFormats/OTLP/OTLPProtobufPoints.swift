internal import Telemetry

/// The five kinds of data point.
extension OTLPProtobufMetrics {
    func decodeNumberPoint(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(2): draft.point.start = try cursor.readFixed64()
            case fixed64Tag(3): draft.point.time = try cursor.readFixed64()
            case fixed64Tag(4): draft.number = Double(bitPattern: try cursor.readFixed64())
            case bytesTag(5): try decodeExemplar(try cursor.readMessage(), into: &draft)
            case fixed64Tag(6): draft.number = Double(Int64(bitPattern: try cursor.readFixed64()))
            case bytesTag(7): draft.add(try OTLPLabelValue.readPair(try cursor.readMessage()))
            case varintTag(8): draft.setFlags(UInt32(truncatingIfNeeded: try cursor.readVarint()))
            default: try cursor.skip(tag, known: 0b1_1111_1100)
            }
        }
    }

    func decodeHistogramPoint(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(2): draft.point.start = try cursor.readFixed64()
            case fixed64Tag(3): draft.point.time = try cursor.readFixed64()
            case fixed64Tag(4): draft.explicit.count = try cursor.readFixed64()
            case fixed64Tag(5): draft.explicit.sum = Double(bitPattern: try cursor.readFixed64())
            case bytesTag(6):
                var list = try cursor.readMessage()
                while !list.isAtEnd { draft.append(count: try list.readFixed64()) }
            case fixed64Tag(6): draft.append(count: try cursor.readFixed64())
            case bytesTag(7):
                var list = try cursor.readMessage()
                while !list.isAtEnd { draft.append(bound: Double(bitPattern: try list.readFixed64())) }
            case fixed64Tag(7): draft.append(bound: Double(bitPattern: try cursor.readFixed64()))
            case bytesTag(8): try decodeExemplar(try cursor.readMessage(), into: &draft)
            case bytesTag(9): draft.add(try OTLPLabelValue.readPair(try cursor.readMessage()))
            case varintTag(10): draft.setFlags(UInt32(truncatingIfNeeded: try cursor.readVarint()))
            case fixed64Tag(11): draft.explicit.least = Double(bitPattern: try cursor.readFixed64())
            case fixed64Tag(12): draft.explicit.greatest = Double(bitPattern: try cursor.readFixed64())
            default: try cursor.skip(tag, known: 0b1_1111_1111_1100)
            }
        }
    }

    func decodeExponentialPoint(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): draft.add(try OTLPLabelValue.readPair(try cursor.readMessage()))
            case fixed64Tag(2): draft.point.start = try cursor.readFixed64()
            case fixed64Tag(3): draft.point.time = try cursor.readFixed64()
            case fixed64Tag(4): draft.exponential.count = try cursor.readFixed64()
            case fixed64Tag(5): draft.exponential.sum = Double(bitPattern: try cursor.readFixed64())
            case varintTag(6): draft.exponential.scale = zigZagged(try cursor.readVarint())
            case fixed64Tag(7): draft.exponential.zeroCount = try cursor.readFixed64()
            case bytesTag(8): try decodeBuckets(try cursor.readMessage(), into: &draft, isNegative: false)
            case bytesTag(9): try decodeBuckets(try cursor.readMessage(), into: &draft, isNegative: true)
            case varintTag(10): draft.setFlags(UInt32(truncatingIfNeeded: try cursor.readVarint()))
            case bytesTag(11): try decodeExemplar(try cursor.readMessage(), into: &draft)
            case fixed64Tag(12): draft.exponential.least = Double(bitPattern: try cursor.readFixed64())
            case fixed64Tag(13): draft.exponential.greatest = Double(bitPattern: try cursor.readFixed64())
            default: try cursor.skip(tag, known: 0b11_1111_1111_1110)
            }
        }
    }

    private func decodeBuckets(
        _ message: ProtobufCursor, into draft: inout PointDraft, isNegative: Bool
    ) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case varintTag(1):
                let offset = zigZagged(try cursor.readVarint())
                if !isNegative { draft.exponential.offset = offset }
            case bytesTag(2):
                var list = try cursor.readMessage()
                while !list.isAtEnd { draft.append(exponential: try list.readVarint(), isNegative: isNegative) }
            case varintTag(2): draft.append(exponential: try cursor.readVarint(), isNegative: isNegative)
            default: try cursor.skip(tag, known: 0b110)
            }
        }
    }

    /// An `sint32`.
    private func zigZagged(_ value: UInt64) -> Int {
        let bits = UInt32(truncatingIfNeeded: value)
        return Int(Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1))
    }

    func decodeSummaryPoint(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(2): draft.point.start = try cursor.readFixed64()
            case fixed64Tag(3): draft.point.time = try cursor.readFixed64()
            case fixed64Tag(4): draft.summary.count = try cursor.readFixed64()
            case fixed64Tag(5): draft.summary.sum = Double(bitPattern: try cursor.readFixed64())
            case bytesTag(6): try decodeQuantile(try cursor.readMessage(), into: &draft)
            case bytesTag(7): draft.add(try OTLPLabelValue.readPair(try cursor.readMessage()))
            case varintTag(8): draft.setFlags(UInt32(truncatingIfNeeded: try cursor.readVarint()))
            default: try cursor.skip(tag, known: 0b1_1111_1100)
            }
        }
    }

    private func decodeQuantile(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        var entry = (quantile: 0.0, value: 0.0)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(1): entry.quantile = Double(bitPattern: try cursor.readFixed64())
            case fixed64Tag(2): entry.value = Double(bitPattern: try cursor.readFixed64())
            default: try cursor.skip(tag, known: 0b110)
            }
        }
        draft.append(quantile: entry)
    }

    private func decodeExemplar(_ message: ProtobufCursor, into draft: inout PointDraft) throws(WireError) {
        var cursor = message
        var exemplar = Exemplar(traceID: TraceID(high: 0, low: 0), value: 0, nanoseconds: 0)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case fixed64Tag(2): exemplar.nanoseconds = Int64(clamping: try cursor.readFixed64())
            case fixed64Tag(3): exemplar.value = Double(bitPattern: try cursor.readFixed64())
            case bytesTag(4): exemplar.spanID = SpanID(spanID(try cursor.readBytes()))
            case bytesTag(5):
                let id = traceID(try cursor.readBytes())
                exemplar.traceID = TraceID(high: id.high, low: id.low)
            case fixed64Tag(6): exemplar.value = Double(Int64(bitPattern: try cursor.readFixed64()))
            default: try cursor.skip(tag, known: 0b111_1100)
            }
        }
        draft.add(exemplar)
    }
}

extension PointDraft {
    mutating func append(count: UInt64) {
        if hasRoom(explicit.counts.count) { explicit.counts.append(count) }
    }

    mutating func append(bound: Double) {
        if hasRoom(explicit.bounds.count) { explicit.bounds.append(bound) }
    }

    mutating func append(exponential count: UInt64, isNegative: Bool) {
        if isNegative {
            exponential.hasNegativeCounts = exponential.hasNegativeCounts || count > 0
        } else if hasRoom(exponential.counts.count) {
            exponential.counts.append(count)
        }
    }

    mutating func append(quantile: (quantile: Double, value: Double)) {
        if hasRoom(summary.quantiles.count) { summary.quantiles.append(quantile) }
    }

    /// Without a trace an exemplar leads nowhere.
    mutating func add(_ exemplar: Exemplar) {
        if !exemplar.traceID.isZero, exemplar.value.isFinite { point.exemplars.append(exemplar) }
    }
}
