internal import Telemetry

/// Spans of a merge, taken over by the run: consecutive rows of a trace of one input block.
extension BlockBuilder {
    /// Sets aside what runs of the block will need; false when they cannot be taken.
    mutating func reserve(_ source: BlockColumns, keys: UnsafePointer<UInt32>) -> Bool {
        guard source.isColumnar else { return false }
        if let columns = source.attributes, !spanAttributes.reserve(columns, keys: keys) { return false }
        if let columns = source.events?.attributes, !eventAttributes.reserve(columns, keys: keys) { return false }
        if let columns = source.links?.attributes, !linkAttributes.reserve(columns, keys: keys) { return false }
        return true
    }

    /// Appends spans of the trace begun. `scopeMap` and `keys` map those of the source's tables to ours.
    ///
    /// - Parameter factor: what weights are multiplied with.
    mutating func append(
        _ rows: Range<Int>, of source: BlockColumns, _ known: BlockTranslation, factor: Double,
        scopeMap: UnsafePointer<UInt32>, keys: UnsafePointer<UInt32>
    ) {
        note(rows, of: source)
        for (index, id) in BlockColumns.copied.enumerated() {
            integers[Int(id)].append(rows, of: source.integers[index])
        }
        appendWeights(rows, of: source.weights, factor: factor)
        appendScopes(rows, of: source.scopes, scopeMap)
        var bytes = known.names.append(rows, of: source.names, to: &strings[Int(ColumnID.name)])
        bytes &+= known.traceStates.append(rows, of: source.traceStates, to: &strings[Int(ColumnID.traceState)])
        bytes &+= known.statusMessages.append(
            rows, of: source.statusMessages, to: &strings[Int(ColumnID.statusMessage)])
        if let columns = source.attributes {
            bytes &+= spanAttributes.append(rows, of: columns, &known.attributes, keys: keys)
        }
        if let events = source.events {
            bytes &+= append(events.range(rows), of: events, known, keys: keys)
        }
        if let links = source.links {
            bytes &+= append(links.range(rows), of: links, known, keys: keys)
        }
        textBytes &+= bytes
    }

    /// Takes what is not a column of its own: bounds, starts and parents.
    private mutating func note(_ rows: Range<Int>, of source: BlockColumns) {
        entry.spans += rows.count
        let durations = source.durations
        source.starts.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            starts.append(base + rows.lowerBound, count: rows.count)
            for row in rows {
                entry.earliestStart = min(entry.earliestStart, values[row])
                entry.latestStart = max(entry.latestStart, values[row])
                // The duration of a span that ends before its start is stored wrapped, and counts as none.
                let duration = durations[row]
                if !values[row].addingReportingOverflow(duration).overflow {
                    entry.longestDuration = max(entry.longestDuration, duration)
                }
            }
        }
        source.parentIDs.withUnsafeBufferPointer { values in
            if let base = values.baseAddress { parentIDs.append(base + rows.lowerBound, count: rows.count) }
        }
        let arrivals = source.arrivals
        for row in rows {
            entry.earliestArrival = min(entry.earliestArrival, arrivals[row])
            entry.latestArrival = max(entry.latestArrival, arrivals[row])
        }
        let statuses = source.statuses
        if !statuses.isZero, rows.contains(where: { statuses[$0] == 2 }) { entry.hasError = true }
    }

    private mutating func appendWeights(_ rows: Range<Int>, of column: IntegerColumn, factor: Double) {
        guard factor != 1 else { return integers[Int(ColumnID.weight)].append(rows, of: column) }
        for row in rows {
            let weight = Double(bitPattern: column[row] ^ SegmentFormat.oneWeight) * factor
            integers[Int(ColumnID.weight)].append(weight.bitPattern ^ SegmentFormat.oneWeight)
        }
    }

    private mutating func appendScopes(_ rows: Range<Int>, of column: IntegerColumn, _ map: UnsafePointer<UInt32>) {
        for row in rows {
            let place = place(ofScope: Int(map[Int(truncatingIfNeeded: column[row])]))
            integers[Int(ColumnID.scope)].append(UInt64(place))
        }
    }

    private mutating func append(
        _ rows: Range<Int>, of events: EventColumns, _ known: BlockTranslation, keys: UnsafePointer<UInt32>
    ) -> Int {
        guard !rows.isEmpty else { return 0 }
        entry.events += rows.count
        integers[Int(ColumnID.eventTime)].append(rows, of: events.times)
        integers[Int(ColumnID.eventDropped)].append(rows, of: events.dropped)
        let bytes = known.eventNames.append(rows, of: events.names, to: &strings[Int(ColumnID.eventName)])
        guard let columns = events.attributes else { return bytes }
        return bytes &+ eventAttributes.append(rows, of: columns, &known.eventAttributes, keys: keys)
    }

    private mutating func append(
        _ rows: Range<Int>, of links: LinkColumns, _ known: BlockTranslation, keys: UnsafePointer<UInt32>
    ) -> Int {
        guard !rows.isEmpty else { return 0 }
        entry.links += rows.count
        for (index, id) in LinkColumns.copied.enumerated() {
            integers[Int(id)].append(rows, of: links.integers[index])
        }
        let bytes = known.linkTraceStates.append(
            rows, of: links.traceStates, to: &strings[Int(ColumnID.linkTraceState)])
        guard let columns = links.attributes else { return bytes }
        return bytes &+ linkAttributes.append(rows, of: columns, &known.linkAttributes, keys: keys)
    }
}

extension GrowingBuffer<UInt64> {
    /// Appends rows of a column that was read whole.
    mutating func append(_ rows: Range<Int>, of column: IntegerColumn) {
        guard !column.values.isEmpty else { return append(repeating: column.constant, count: rows.count) }
        column.values.withUnsafeBufferPointer { values in
            guard let base = values.baseAddress else { return }
            append(base + rows.lowerBound, count: rows.count)
        }
    }
}
