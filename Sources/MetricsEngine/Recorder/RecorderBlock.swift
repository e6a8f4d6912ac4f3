internal import Telemetry

/// A block in memory: windows as the receivers closed them, and the totals before the first of them.
struct RecorderBlock: Sendable {
    struct Definition: Sendable {
        var id: UInt32
        var family: UInt32
        var textOffset: Int
        var textBytes: Int
    }

    let facts: RecorderBlockFacts
    let windows: [ClosedWindow]
    let families: [MetricFamily]
    /// Totals before the block by series; later series had none.
    let values: [Double]
    /// Not 0 where a series had a value before the block.
    let starts: [Int64]
    let histograms: [UInt32: HistogramBase]
    let removed: [UInt32: Int]
    private(set) var definitions: [Definition] = []
    private var texts: [UInt8] = []

    init(
        facts: RecorderBlockFacts, windows: [ClosedWindow], families: [MetricFamily], values: [Double],
        starts: [Int64], histograms: [UInt32: HistogramBase], removed: [UInt32: Int]
    ) {
        self.facts = facts
        self.windows = windows
        self.families = families
        self.values = values
        self.starts = starts
        self.histograms = histograms
        self.removed = removed
    }

    /// Adds a series; by ascending id.
    mutating func define(_ id: UInt32, family: UInt32, labels: UnsafeRawBufferPointer) {
        definitions.append(
            Definition(id: id, family: family, textOffset: texts.count, textBytes: labels.count))
        texts.append(contentsOf: labels)
    }

    func hadValue(_ id: UInt32) -> Bool { Int(id) < starts.count && starts[Int(id)] != 0 }

    /// The series that changed in it, marked by series.
    func changed(of count: Int) -> [Bool] {
        var marks = Array(repeating: false, count: count)
        for (index, window) in windows.enumerated() {
            for change in window.scalars where Int(change.series) < count && counts(change.series, in: index) {
                marks[Int(change.series)] = true
            }
            for part in window.histograms.parts where Int(part.series) < count && counts(part.series, in: index) {
                marks[Int(part.series)] = true
            }
        }
        return marks
    }

    /// Whether what window `index` says of `series` is about the series that has the number now.
    @inline(__always)
    func counts(_ series: UInt32, in index: Int) -> Bool {
        removed.isEmpty || index >= removed[series] ?? 0
    }

    private func text(_ definition: Definition) -> ArraySlice<UInt8> {
        texts[definition.textOffset..<definition.textOffset + definition.textBytes]
    }

    /// The series by family name and then by labels.
    private func ordered() -> [Definition] {
        let names = families.map { Array($0.name.utf8) }
        let order = families.indices.sorted { names[$0].lexicographicallyPrecedes(names[$1]) }
        var rank = Array(repeating: 0, count: families.count)
        for (position, family) in order.enumerated() { rank[family] = position }
        return texts.withUnsafeBytes { bytes in
            definitions.sorted { left, right in
                if left.family != right.family { return rank[Int(left.family)] < rank[Int(right.family)] }
                return Self.precedes(bytes, left, right)
            }
        }
    }

    private static func precedes(_ bytes: UnsafeRawBufferPointer, _ left: Definition, _ right: Definition) -> Bool {
        let leftText = bytes[left.textOffset..<left.textOffset + left.textBytes]
        let rightText = bytes[right.textOffset..<right.textOffset + right.textBytes]
        return leftText.lexicographicallyPrecedes(rightText)
    }

    /// What the block holds of its series, in order, until `body` says false.
    func forEachSeries(matching selector: RecordSelector? = nil, _ body: (RecordedSeries) -> Bool) {
        var chosen = ordered()
        if let selector {
            let wanted = families.map { selector.includes(family: $0.name, kind: $0.kind) }
            chosen.removeAll { definition in
                !wanted[Int(definition.family)]
                    || !text(definition).withUnsafeBytes { selector.includes(labels: $0) }
            }
        }
        guard !chosen.isEmpty else { return }
        let rows = BlockRows(self, chosen)
        for (slot, definition) in chosen.enumerated() {
            let family = families[Int(definition.family)]
            let piece =
                family.kind == .histogram
                ? rows.histogram(slot, definition.id, family) : rows.scalar(slot, definition.id, family.kind)
            let recorded = RecordedSeries(
                family: family.name, kind: family.kind, labelText: Array(text(definition)), bounds: family.bounds,
                pieces: [piece])
            guard body(recorded) else { return }
        }
    }
}

/// The windows of a block turned from seconds to series.
struct BlockRows {
    private struct Change {
        var second: Int64
        var value: Double
        var least: Double
        var greatest: Double
        var isLevel: Bool
    }

    private struct Place {
        var window: Int32
        var part: Int32
        var classicOffset: Int32
    }

    private let block: RecorderBlock
    /// First row of each slot, and behind the last one the number of rows.
    private var changeEnds: [Int]
    private var changes: [Change]
    private var placeEnds: [Int]
    private var places: [Place]

    init(_ block: RecorderBlock, _ series: [RecorderBlock.Definition]) {
        self.block = block
        var slots = Array(repeating: Int32(-1), count: Int(series.map(\.id).max() ?? 0) + 1)
        for (slot, definition) in series.enumerated() { slots[Int(definition.id)] = Int32(slot) }
        var changeCounts = Array(repeating: 0, count: series.count + 1)
        var placeCounts = changeCounts
        for (index, window) in block.windows.enumerated() {
            for change in window.scalars {
                let slot = Self.slot(change.series, slots)
                if slot >= 0, block.counts(change.series, in: index) { changeCounts[slot + 1] += 1 }
            }
            for part in window.histograms.parts {
                let slot = Self.slot(part.series, slots)
                if slot >= 0, block.counts(part.series, in: index) { placeCounts[slot + 1] += 1 }
            }
        }
        for slot in series.indices {
            changeCounts[slot + 1] += changeCounts[slot]
            placeCounts[slot + 1] += placeCounts[slot]
        }
        changeEnds = changeCounts
        placeEnds = placeCounts
        let none = Change(second: 0, value: 0, least: 0, greatest: 0, isLevel: false)
        changes = Array(repeating: none, count: changeCounts.last ?? 0)
        places = Array(repeating: Place(window: 0, part: 0, classicOffset: 0), count: placeCounts.last ?? 0)
        fill(slots)
    }

    private static func slot(_ series: UInt32, _ slots: [Int32]) -> Int {
        Int(series) < slots.count ? Int(slots[Int(series)]) : -1
    }

    /// Oldest second first, whatever the order they came in.
    private mutating func fill(_ slots: [Int32]) {
        let windows = block.windows
        var nextChange = changeEnds
        var nextPlace = placeEnds
        for index in windows.indices.sorted(by: { (windows[$0].second, $0) < (windows[$1].second, $1) }) {
            let window = windows[index]
            for change in window.scalars {
                let slot = Self.slot(change.series, slots)
                guard slot >= 0, block.counts(change.series, in: index) else { continue }
                changes[nextChange[slot]] = Change(
                    second: window.second, value: change.value, least: .infinity, greatest: -.infinity,
                    isLevel: change.isLevel)
                nextChange[slot] += 1
            }
            for spread in window.spreads {
                let slot = Self.slot(spread.series, slots)
                guard slot >= 0, block.counts(spread.series, in: index) else { continue }
                // The change that goes with it is the one just filled in.
                changes[nextChange[slot] - 1].least = spread.least
                changes[nextChange[slot] - 1].greatest = spread.greatest
            }
            var offset = 0
            for (number, part) in window.histograms.parts.enumerated() {
                let slot = Self.slot(part.series, slots)
                if slot >= 0, block.counts(part.series, in: index) {
                    places[nextPlace[slot]] = Place(
                        window: Int32(index), part: Int32(number), classicOffset: Int32(offset))
                    nextPlace[slot] += 1
                }
                offset += ClassicBounds.shared.bucketCount(Int(part.layout))
            }
        }
    }

    private var empty: RecordedPiece { RecordedPiece(block.facts) }

    /// A counter's additions or a gauge's values, one row a second.
    func scalar(_ slot: Int, _ id: UInt32, _ kind: MetricFamilyKind) -> RecordedPiece {
        var piece = empty
        if block.hadValue(id) { piece.base = block.values[Int(id)] }
        var total = piece.base ?? 0
        piece.scalars.reserveCapacity(changeEnds[slot + 1] - changeEnds[slot])
        for change in changes[changeEnds[slot]..<changeEnds[slot + 1]] {
            let before = total
            total = change.isLevel ? change.value : total + change.value
            let value: Double
            if kind == .counter { value = change.isLevel ? total - before : change.value } else { value = total }
            let least = min(value, change.least)
            let greatest = max(value, change.greatest)
            let last = piece.scalars.count - 1
            guard last >= 0, piece.scalars[last].second == change.second else {
                let row = RecordedScalar(second: change.second, value: value, least: least, greatest: greatest)
                piece.scalars.append(row)
                continue
            }
            if kind == .counter {
                piece.scalars[last].value += value
            } else {
                piece.scalars[last].value = value
                piece.scalars[last].least = min(piece.scalars[last].least, least)
                piece.scalars[last].greatest = max(piece.scalars[last].greatest, greatest)
            }
        }
        return piece
    }

    /// A histogram's seconds; those of several receivers are joined.
    func histogram(_ slot: Int, _ id: UInt32, _ family: MetricFamily) -> RecordedPiece {
        var piece = empty
        if let base = block.histograms[id] {
            piece.baseSum = base.sum
            piece.baseClassic = base.classic
        }
        if block.hadValue(id) { piece.base = piece.baseClassic.reduce(0, +) }
        for place in places[placeEnds[slot]..<placeEnds[slot + 1]] {
            let window = block.windows[Int(place.window)]
            let row = Self.row(window, place, family)
            if let last = piece.histograms.last, last.second == row.second {
                piece.histograms[piece.histograms.count - 1] = last.joined(with: row)
            } else {
                piece.histograms.append(row)
            }
        }
        return piece
    }

    private static func row(_ window: ClosedWindow, _ place: Place, _ family: MetricFamily) -> RecordedHistogram {
        let part = window.histograms.parts[Int(place.part)]
        let first = Int(place.classicOffset)
        let counts = window.classicCounts[first..<first + ClassicBounds.shared.bucketCount(Int(part.layout))]
        var classic = Array(counts)
        if let layout = ClassicBuckets(rawValue: part.layout), layout != family.buckets {
            classic = Array(repeating: 0, count: family.bounds.count + 1)
            ClassicFolding.add(counts, of: layout.bounds, to: &classic, of: family.bounds)
        }
        var buckets: [RecordedHistogram.Bucket] = []
        buckets.reserveCapacity(Int(part.bucketCount))
        window.histograms.forEachBucket(of: part) { buckets.append(RecordedHistogram.Bucket(index: $0, weight: $1)) }
        buckets.sort { $0.index < $1.index }
        return RecordedHistogram(
            second: window.second, sum: part.sum, least: part.least, greatest: part.greatest, classic: classic,
            schema: part.schema, buckets: buckets, isEstimate: part.isEstimate)
    }
}

extension RecordedHistogram {
    /// The two as one, at the coarser schema of them.
    package func joined(with other: RecordedHistogram) -> RecordedHistogram {
        var joined = self
        joined.sum += other.sum
        joined.least = min(least, other.least)
        joined.greatest = max(greatest, other.greatest)
        joined.isEstimate = isEstimate || other.isEstimate
        for (index, weight) in other.classic.enumerated() where index < joined.classic.count {
            joined.classic[index] += weight
        }
        var table = ExponentialBuckets()
        add(to: &table)
        other.add(to: &table)
        joined.schema = Int8(truncatingIfNeeded: table.schema)
        joined.buckets = table.sorted().map { Bucket(index: $0.index, weight: $0.weight) }
        return joined
    }

    func add(to table: inout ExponentialBuckets) {
        for bucket in buckets { table.add(bucket.weight, at: bucket.index, ofSchema: Int(schema)) }
    }
}
