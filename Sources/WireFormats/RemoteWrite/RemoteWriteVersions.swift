internal import Telemetry

/// Version 1: `prometheus.WriteRequest`.
extension RemoteWriteDecoder {
    mutating func decodeWriteRequest(_ request: ProtobufCursor) throws(WireError) {
        var cursor = request
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let message = try cursor.readMessage()
                do { try decodeTimeSeries(message) } catch { throw error.within("timeseries[\(index)]") }
                index += 1
            case bytesTag(3): try decodeMetadata(try cursor.readMessage())
            // The versions have no field number in common, so that one cannot be taken for the other.
            case bytesTag(4), bytesTag(5): throw WireError(.writeVersion2, at: cursor.offset)
            default: try cursor.skip(tag, known: 0b1010)
            }
        }
    }

    private mutating func decodeTimeSeries(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var series = newSeries()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): add(try decodeLabel(try cursor.readMessage()), to: &series)
            case bytesTag(2): try decodeSample(try cursor.readMessage())
            case bytesTag(3): try decodeExemplar(try cursor.readMessage())
            case bytesTag(4): try decodeHistogram(try cursor.readMessage())
            default: try cursor.skip(tag, known: 0b1_1110)
            }
        }
        finish(series)
    }

    private func decodeLabel(_ message: ProtobufCursor) throws(WireError) -> RemoteWriteBatch.Label {
        var cursor = message
        var label = RemoteWriteBatch.Label(name: 0..<0, value: 0..<0)
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1): label.name = try readText(&cursor)
            case bytesTag(2): label.value = try readText(&cursor)
            default: try cursor.skip(tag, known: 0b110)
            }
        }
        return label
    }

    private mutating func decodeExemplar(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var (value, time) = (0.0, Int64(0))
        var trace: RemoteWriteBatch.Text?
        var span: RemoteWriteBatch.Text?
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                let label = try decodeLabel(try cursor.readMessage())
                if isEqual(label.name, "trace_id") { trace = label.value }
                if isEqual(label.name, "span_id") { span = label.value }
            case fixed64Tag(2): value = Double(bitPattern: try cursor.readFixed64())
            case varintTag(3): time = try readTime(&cursor)
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        add(exemplar: trace, span: span, value, time)
    }

    private mutating func decodeMetadata(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var metadata = RemoteWriteBatch.Metadata()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case varintTag(1): metadata.kind = kind(try cursor.readVarint())
            case bytesTag(2): metadata.family = try readText(&cursor)
            case bytesTag(4): metadata.help = try readText(&cursor)
            case bytesTag(5): _ = try readText(&cursor)
            default: try cursor.skip(tag, known: 0b11_0110)
            }
        }
        if batch.metadata.count < Limits.metricFamilies { batch.metadata.append(metadata) }
    }

    func kind(_ value: UInt64) -> RemoteWriteBatch.Kind {
        UInt8(exactly: value).flatMap(RemoteWriteBatch.Kind.init) ?? .unknown
    }

    func isEqual(_ text: RemoteWriteBatch.Text, _ word: StaticString) -> Bool {
        word.withUTF8Buffer { borrowed(text).elementsEqual($0) }
    }
}

/// Version 2: `io.prometheus.write.v2.Request`. Symbols are read before the series that name them.
extension RemoteWriteDecoder {
    mutating func decodeRequest(_ request: ProtobufCursor) throws(WireError) {
        var cursor = request
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            if (1...3).contains(tag >> 3) { throw WireError(.writeVersion1, at: cursor.offset) }
            guard tag == bytesTag(4) else {
                if tag == bytesTag(5) { try cursor.pass(tag) } else { try cursor.skip(tag, known: 0b11_0000) }
                continue
            }
            guard symbols.count < Limits.symbolsPerWrite else { throw WireError(.symbols, at: cursor.offset) }
            symbols.append(try readText(&cursor))
        }
        cursor = request
        var index = 0
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            guard tag == bytesTag(5) else {
                try cursor.pass(tag)
                continue
            }
            let message = try cursor.readMessage()
            do { try decodeSymbolSeries(message) } catch { throw error.within("timeseries[\(index)]") }
            index += 1
        }
    }

    private mutating func decodeSymbolSeries(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var series = newSeries()
        var name: RemoteWriteBatch.Text?
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                var list = try cursor.readMessage()
                while !list.isAtEnd { add(try readSymbol(&list), after: &name, to: &series) }
            case varintTag(1): add(try readSymbol(&cursor), after: &name, to: &series)
            case bytesTag(2): try decodeSample(try cursor.readMessage())
            case bytesTag(3): try decodeHistogram(try cursor.readMessage())
            case bytesTag(4): try decodeSymbolExemplar(try cursor.readMessage())
            case bytesTag(5): try decodeSymbolMetadata(try cursor.readMessage(), into: &series)
            default: try cursor.skip(tag, known: 0b11_1110)
            }
        }
        if name != nil { series.defect = .badLabels }
        finish(series)
    }

    /// Symbols come in pairs: `name` is the first of the pair under way.
    private mutating func add(
        _ symbol: RemoteWriteBatch.Text, after name: inout RemoteWriteBatch.Text?,
        to series: inout RemoteWriteBatch.Series
    ) {
        if let open = name {
            add(RemoteWriteBatch.Label(name: open, value: symbol), to: &series)
            name = nil
        } else {
            name = symbol
        }
    }

    private func readSymbol(_ cursor: inout ProtobufCursor) throws(WireError) -> RemoteWriteBatch.Text {
        let start = cursor.offset
        guard let number = Int(exactly: try cursor.readVarint()), symbols.indices.contains(number) else {
            throw WireError(.symbol, at: start)
        }
        return symbols[number]
    }

    private mutating func decodeSymbolExemplar(_ message: ProtobufCursor) throws(WireError) {
        var cursor = message
        var (value, time) = (0.0, Int64(0))
        var symbols = ExemplarSymbols()
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case bytesTag(1):
                var list = try cursor.readMessage()
                while !list.isAtEnd { take(try readSymbol(&list), &symbols) }
            case varintTag(1): take(try readSymbol(&cursor), &symbols)
            case fixed64Tag(2): value = Double(bitPattern: try cursor.readFixed64())
            case varintTag(3): time = try readTime(&cursor)
            default: try cursor.skip(tag, known: 0b1110)
            }
        }
        add(exemplar: symbols.trace, span: symbols.span, value, time)
    }

    private func take(_ symbol: RemoteWriteBatch.Text, _ symbols: inout ExemplarSymbols) {
        guard let open = symbols.name else {
            symbols.name = symbol
            return
        }
        if isEqual(open, "trace_id") { symbols.trace = symbol }
        if isEqual(open, "span_id") { symbols.span = symbol }
        symbols.name = nil
    }

    private func decodeSymbolMetadata(
        _ message: ProtobufCursor, into series: inout RemoteWriteBatch.Series
    ) throws(WireError) {
        var cursor = message
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            switch tag {
            case varintTag(1): series.kind = kind(try cursor.readVarint())
            case varintTag(3): series.help = try readSymbol(&cursor)
            case varintTag(4): _ = try readSymbol(&cursor)
            default: try cursor.skip(tag, known: 0b1_1010)
            }
        }
    }
}

/// The labels of an exemplar while they arrive.
private struct ExemplarSymbols {
    /// The first of the pair under way.
    var name: RemoteWriteBatch.Text?
    var trace: RemoteWriteBatch.Text?
    var span: RemoteWriteBatch.Text?
}
