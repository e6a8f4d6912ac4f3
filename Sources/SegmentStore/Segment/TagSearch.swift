internal import Telemetry

/// Marks the rows of a block where one tag condition holds: among the span's attributes, its resource's or its
/// events', as an event's name, or as a derived tag.
struct TagSearch {
    let filter: SpanFilter
    let tag: BlockSearch.Tag

    func mark(_ rows: inout RowMask, in block: inout BlockReader) throws(SegmentError) {
        try markDerived(&rows, &block)
        try markResources(&rows, &block)
        let spans = block.entry.spans
        try markOwners(.span, count: spans, &block) { row in rows.insert(row) }
        try markEvents(&rows, &block)
    }

    private func markDerived(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        let count = block.entry.spans
        let key = tag.key.text
        if key == "otel.scope.name" {
            let scopes = block.entry.scopes
            let names = try block.strings(ColumnID.scopeName, count: scopes, rows: 0..<scopes)
            let matches = (0..<scopes).map { holds(derived: key, scopeName: names.text($0)) }
            return try ScopeMatches(scopes: matches).mark(&rows, &block)
        }
        guard ["error", "span.kind", "otel.status_code"].contains(key) else { return }
        let kinds = try block.integers(ColumnID.kind, count: count, rows: 0..<count)
        let statuses = try block.integers(ColumnID.status, count: count, rows: 0..<count)
        var known: [UInt64: Bool] = [:]
        for row in 0..<count {
            let combination = kinds[row] << 8 | statuses[row] & 0xff
            let kind = UInt8(truncatingIfNeeded: kinds[row])
            let status = UInt8(truncatingIfNeeded: statuses[row])
            let matches = known[combination] ?? holds(derived: key, kind: kind, status: status)
            known[combination] = matches
            if matches { rows.insert(row) }
        }
    }

    private func holds(derived key: String, kind: UInt8 = 0, status: UInt8 = 0, scopeName: String = "") -> Bool {
        let value = DerivedTag.value(of: key, kind: kind, status: status, scopeName: scopeName)
        return value != nil && (tag.value == nil || tag.value?.text == value)
    }

    private func markResources(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        let count = block.entry.resources
        var resources = [Bool](repeating: false, count: count)
        try markOwners(.resource, count: count, &block) { resources[$0] = true }
        guard resources.contains(true) else { return }
        try ScopeMatches(&block, resources: resources).mark(&rows, &block)
    }

    private func markEvents(_ rows: inout RowMask, _ block: inout BlockReader) throws(SegmentError) {
        let count = block.entry.events
        guard count > 0 else { return }
        var events = [Bool](repeating: false, count: count)
        if tag.key.text == "event" {
            let names = try block.strings(ColumnID.eventName, count: count, rows: 0..<count)
            for event in 0..<count {
                events[event] = tag.value.map { $0.matches(names.value(names.index(event))) } ?? true
            }
        }
        try markOwners(.event, count: count, &block) { events[$0] = true }
        guard events.contains(true) else { return }
        let spans = block.entry.spans
        let counts = try block.integers(ColumnID.eventCount, count: spans, rows: 0..<spans)
        let places = try Offsets.sums(counts, count: spans, total: count, block, "events")
        for row in 0..<spans where events[places[row]..<places[row + 1]].contains(true) { rows.insert(row) }
    }

    /// Calls `found` for every owner of a kind that has the attribute.
    private func markOwners(
        _ owner: AttributeOwner, count: Int, _ block: inout BlockReader, _ found: (Int) -> Void
    ) throws(SegmentError) {
        let places = block.valuePlaces(owner)
        let candidates = places.indices.filter { index in
            let key = Int(block.entry.columns[places[index]].key)
            return key < block.keys.count && tag.key.matches(block.keys[key][...])
        }
        let hasShared = block.place(ColumnID.shared(owner)) != nil
        guard !candidates.isEmpty || hasShared else { return }
        let shapes = try AttributeShapes(&block, owner, count: count)
        let totals = shapes.occurrences(0..<count)
        for index in candidates {
            let matches = try matches(places[index], count: totals[index], &block)
            guard matches.contains(true) else { continue }
            visit(shapes, count: count, column: UInt16(truncatingIfNeeded: index), matches, found)
        }
        if hasShared {
            let total = totals[places.count]
            let values = try block.strings(ColumnID.shared(owner), count: total, rows: 0..<total)
            let matches = try sharedMatches(values, total, block)
            visit(shapes, count: count, column: SegmentFormat.sharedColumn, matches, found)
        }
    }

    /// For every value of a column in order: whether it is the one wanted.
    private func matches(_ place: Int, count: Int, _ block: inout BlockReader) throws(SegmentError) -> [Bool] {
        guard let type = AttributeType(rawValue: block.entry.columns[place].type) else {
            throw block.damage("unknown attribute type")
        }
        guard let wanted = tag.value else { return [Bool](repeating: true, count: count) }
        switch type {
        case .empty: return [Bool](repeating: wanted.text.isEmpty, count: count)
        case .bool, .int, .double:
            let values = try block.integers(place: place, count: count, rows: 0..<count)
            return (0..<count).map { wanted.matches(type, values[$0]) }
        case .string, .bytes, .array, .map:
            let values = try block.strings(place: place, count: count, rows: 0..<count)
            let isWanted = (0..<values.valueCount).map { wanted.matches(type, values.value($0)) }
            guard isWanted.contains(true) else { return [] }
            return (0..<count).map { isWanted[values.index($0)] }
        }
    }

    private func sharedMatches(
        _ values: StringColumn, _ count: Int, _ block: BlockReader
    ) throws(SegmentError) -> [Bool] {
        var isWanted: [Bool] = []
        for index in 0..<values.valueCount {
            guard let attribute = SharedAttribute.decode(values.value(index)) else {
                throw block.damage("attribute of the shared column")
            }
            let hasKey = attribute.key == tag.key.text
            isWanted.append(hasKey && (tag.value.map { AttributeText.text(attribute.value) == $0.text } ?? true))
        }
        return (0..<count).map { isWanted[values.index($0)] }
    }

    /// Walks the owners and calls `found` for those with a matching value in the column.
    private func visit(
        _ shapes: AttributeShapes, count: Int, column: UInt16, _ matches: [Bool], _ found: (Int) -> Void
    ) {
        let repeats = shapes.shapes.map { shape in shape.reduce(0) { $0 + ($1 == column ? 1 : 0) } }
        var next = 0
        for owner in 0..<count {
            let values = repeats[shapes.codes.index(owner)]
            if values == 0 { continue }
            if matches[next..<next + values].contains(true) { found(owner) }
            next += values
        }
    }
}
