internal import Telemetry

/// The state of a ``MetricsShard``, kept in plain memory so that no access needs an exclusivity check.
struct ShardCore: ~Copyable {
    private struct Cell {
        /// The bits of a double, a pointer to a ``HistogramWindow``, or an index of `sets`.
        var payload: UInt64 = 0
        var state = State.clean
        var layout: UInt8 = 0
        /// Two to this power of slots is what the series' last window needed.
        var sizeHint: UInt8 = 3
        /// The counter that counts a histogram's observations, or ``KeyCache/noSeries``.
        var counter = KeyCache.noSeries
    }

    /// `spread` is a level whose extremes lie in `spreads`, `sampled` a change that lies in `sampled`; the payload is the
    /// index there.
    private enum State: UInt8 { case clean, change, level, histogram, set, spread, sampled }

    var keys: KeyCache
    private let queue: WindowQueue
    private let memberHash: KeyedHash
    private let sketches: SketchBudget
    private let index = ExponentialIndex.shared
    private let bounds = ClassicBounds.shared
    private var cells: UnsafeMutablePointer<Cell>
    private var cellCapacity = 1_024
    private var dirty: UnsafeMutablePointer<UInt32>
    private var dirtyCount = 0
    private var dirtyHistograms = 0
    private var windows = HistogramWindowPool()
    private var sets: [(series: UInt32, members: DistinctSet)] = []
    private var spreads: [(last: Double, spread: GaugeSpread)] = []
    private var sampled: [SampledCount] = []
    private var exemplars = ExemplarSecond()
    private var second: Int64 = 0
    private var scales = UnitScales()
    private(set) var deferredWindows: UInt64 = 0
    private(set) var droppedLines: UInt64 = 0
    /// Lines taken, for a later process to see; and how many of them have left in windows.
    private let lines: UnsafeMutablePointer<UInt64>
    private var closedLines: UInt64 = 0
    private let tally: LineTally
    /// What is recorded are lines, and windows say how many.
    private let isTallied: Bool
    private var dropping = KeyDropping()

    init(
        queue: WindowQueue, memberHash: KeyedHash, sketches: SketchBudget, keyCapacity: Int, tally: LineTally?
    ) {
        self.queue = queue
        isTallied = tally != nil
        self.tally = tally ?? LineTally()
        lines = self.tally.makeSlot()
        keys = KeyCache(capacity: keyCapacity)
        self.memberHash = memberHash
        self.sketches = sketches
        cells = .allocate(capacity: cellCapacity)
        cells.initialize(repeating: Cell(), count: cellCapacity)
        dirty = .allocate(capacity: cellCapacity)
    }

    deinit {
        for position in 0..<dirtyCount {
            let cell = cells[Int(dirty[position])]
            if cell.state == .histogram, let window = Self.window(cell.payload) {
                window.deinitialize(count: 1)
                window.deallocate()
            }
        }
        cells.deallocate()
        dirty.deallocate()
    }

    var isOpen: Bool { dirtyCount > 0 }

    @inline(__always)
    private static func window(_ payload: UInt64) -> UnsafeMutablePointer<HistogramWindow>? {
        UnsafeMutablePointer(bitPattern: UInt(truncatingIfNeeded: payload))
    }

    @inline(__always)
    mutating func record(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, samples: UnsafeBufferPointer<MetricSample>
    ) -> MetricKind? {
        guard let first = samples.first else { return nil }
        let series = keys.find(name: name, tags: tags, kind: first.kind)
        if samples.count == 1, series < KeyCache.firstScaled {
            apply(first, to: series)
            countLine()
            return nil
        }
        if series == KeyCache.noSeries { return first.kind }
        return recordPacked(name: name, tags: tags, samples: samples)
    }

    @inline(never)
    private mutating func recordPacked(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, samples: UnsafeBufferPointer<MetricSample>
    ) -> MetricKind? {
        var kind = samples[0].kind
        for sample in samples where sample.kind != kind {
            kind = sample.kind
            if keys.find(name: name, tags: tags, kind: kind) == KeyCache.noSeries { return kind }
        }
        kind = samples[0].kind
        var series = keys.find(name: name, tags: tags, kind: kind)
        var isDropped = true
        for sample in samples {
            if sample.kind != kind {
                kind = sample.kind
                series = keys.find(name: name, tags: tags, kind: kind)
            }
            guard series < KeyCache.dropped else { continue }
            isDropped = false
            if series < KeyCache.firstScaled {
                apply(sample, to: series)
            } else {
                var scaled = sample
                scaled.value = scales.scaled(sample.value, series >> KeyCache.scaleShift)
                apply(scaled, to: series & (KeyCache.firstScaled - 1))
            }
        }
        // What a rule drops is in no window, so it is not among the lines that windows carry.
        if isDropped { droppedLines += 1 } else { countLine() }
        return nil
    }

    @inline(__always)
    mutating func countLine() {
        // A pointer of its own: ThreadSanitizer's instrumentation of a change in place through `self` does not compile.
        let lines = lines
        lines.pointee &+= 1
    }

    mutating func bindDropped(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind) {
        keys.insert(name: name, tags: tags, kind: kind, series: KeyCache.dropped)
    }

    mutating func bind(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind, to series: SeriesRegistration
    ) {
        reserve(series)
        let scale = scales.index(of: series.scale)
        keys.insert(name: name, tags: tags, kind: kind, series: series.id | scale << KeyCache.scaleShift)
    }

    @inline(never)
    mutating func attach(
        trace: TraceID, name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer,
        samples: UnsafeBufferPointer<MetricSample>
    ) {
        for sample in samples {
            let bound = keys.find(name: name, tags: tags, kind: sample.kind)
            guard bound < KeyCache.dropped else { continue }
            var scaled = sample
            if bound >= KeyCache.firstScaled {
                scaled.value = scales.scaled(sample.value, bound >> KeyCache.scaleShift)
            }
            keepExemplar(of: scaled, trace: trace, span: SpanID(0), series: bound & (KeyCache.firstScaled - 1))
        }
    }

    private mutating func keepExemplar(of sample: MetricSample, trace: TraceID, span: SpanID, series: UInt32) {
        let value = sample.kind == .timer ? sample.value / 1_000 : sample.value
        let bucket: Int
        switch sample.kind {
        case .counter: bucket = 0
        case .histogram, .distribution, .timer:
            bucket = bounds.index(of: value, layout: Int(cells[Int(series)].layout))
        case .gauge, .set: return
        }
        let exemplar = Exemplar(traceID: trace, spanID: span, value: value, nanoseconds: 0)
        exemplars.keep(exemplar, series: series, bucket: bucket)
    }

    mutating func observe(
        _ sample: MetricSample, trace: TraceID, span: SpanID, name: UnsafeRawBufferPointer,
        tags: UnsafeRawBufferPointer
    ) -> UInt32? {
        let series = keys.find(name: name, tags: tags, kind: sample.kind)
        if series >= KeyCache.firstScaled { return nil }
        apply(sample, to: series)
        keepExemplar(of: sample, trace: trace, span: span, series: series)
        countLine()
        return series
    }

    mutating func offer(_ exemplar: Exemplar, to target: SpanTarget, epoch: UInt32) {
        let bucket = bounds.index(of: exemplar.value, layout: Int(target.layout.rawValue))
        exemplars.keep(exemplar, series: target.series, bucket: bucket, epoch: epoch)
    }

    /// Makes room for a series' cell. Ids are dense, so the cells are a plain array.
    mutating func reserve(_ series: SeriesRegistration) {
        let needed = Int(series.id) + 1
        if needed > cellCapacity {
            let capacity = max(needed, cellCapacity + cellCapacity / 2)
            let larger = UnsafeMutablePointer<Cell>.allocate(capacity: capacity)
            larger.moveInitialize(from: cells, count: cellCapacity)
            (larger + cellCapacity).initialize(repeating: Cell(), count: capacity - cellCapacity)
            cells.deallocate()
            cells = larger
            let longer = UnsafeMutablePointer<UInt32>.allocate(capacity: capacity)
            longer.moveInitialize(from: dirty, count: dirtyCount)
            dirty.deallocate()
            dirty = longer
            cellCapacity = capacity
        }
        cells[Int(series.id)].layout = series.buckets?.rawValue ?? 0
        cells[Int(series.id)].counter = series.counter ?? KeyCache.noSeries
    }

    /// Works on the engine's request to drop the keys of expired series.
    mutating func dropKeys(_ link: ShardLink) {
        let cells = cells
        dropping.proceed(&keys, link: link, isOpen: dirtyCount > 0) { cells[Int($0)].counter }
    }

    @inline(__always)
    private mutating func touch(_ series: UInt32) {
        dirty[dirtyCount] = series
        dirtyCount &+= 1
    }

    @inline(__always)
    mutating func apply(_ sample: MetricSample, to series: UInt32) {
        switch sample.kind {
        case .counter:
            // Beyond 2^52 there are no fractions; adding it rounds them away. `rounded` would be a call.
            let isWhole = (sample.value + 0x1p52) - 0x1p52 == sample.value
            if isWhole { change(by: sample.value, series) } else { changeFraction(by: sample.value, series) }
        case .gauge:
            if sample.isDelta { change(by: sample.value, series) } else { set(sample.value, series) }
        case .timer: observe(sample.value / 1_000, weight: sample.weight, series)
        case .histogram, .distribution: observe(sample.value, weight: sample.weight, series)
        case .set: insert(sample.member, series)
        }
    }

    @inline(__always)
    private mutating func change(by value: Double, _ series: UInt32) {
        let cell = cells + Int(series)
        if cell.pointee.state == .clean {
            cell.pointee.state = .change
            cell.pointee.payload = value.bitPattern
            touch(series)
        } else if cell.pointee.state == .change {
            cell.pointee.payload = (Double(bitPattern: cell.pointee.payload) + value).bitPattern
        } else if cell.pointee.state == .sampled {
            changeFraction(by: value, series)
        } else {
            changeLevel(by: value, series)
        }
    }

    /// A counter whose increments are no whole numbers, mostly because it is sampled.
    @inline(never)
    private mutating func changeFraction(by value: Double, _ series: UInt32) {
        let cell = cells + Int(series)
        switch cell.pointee.state {
        case .clean, .change:
            if cell.pointee.state == .clean { touch(series) }
            sampled.append(SampledCount(Double(bitPattern: cell.pointee.payload)))
            cell.pointee.state = .sampled
            cell.pointee.payload = UInt64(sampled.count - 1)
            sampled[sampled.count - 1].add(value)
        case .sampled: sampled[Int(cell.pointee.payload)].add(value)
        case .level, .histogram, .set, .spread: changeLevel(by: value, series)
        }
    }

    @inline(__always)
    private mutating func set(_ value: Double, _ series: UInt32) {
        let cell = cells + Int(series)
        if cell.pointee.state == .level || cell.pointee.state == .spread { return setAgain(value, series) }
        if cell.pointee.state == .clean { touch(series) }
        cell.pointee.state = .level
        cell.pointee.payload = value.bitPattern
    }

    /// A change of a gauge that was set in this second.
    @inline(never)
    private mutating func changeLevel(by value: Double, _ series: UInt32) {
        let cell = cells[Int(series)]
        let last = cell.state == .spread ? spreads[Int(cell.payload)].last : Double(bitPattern: cell.payload)
        setAgain(last + value, series)
    }

    /// A gauge that was set in this second already.
    @inline(never)
    private mutating func setAgain(_ value: Double, _ series: UInt32) {
        let cell = cells + Int(series)
        if cell.pointee.state == .spread { return widen(Int(cell.pointee.payload), to: value) }
        let first = Double(bitPattern: cell.pointee.payload)
        guard first != value else { return }
        cell.pointee.state = .spread
        cell.pointee.payload = UInt64(spreads.count)
        spreads.append((first, GaugeSpread(series: series, least: first, greatest: first)))
        widen(spreads.count - 1, to: value)
    }

    private mutating func widen(_ index: Int, to value: Double) {
        spreads[index].last = value
        spreads[index].spread.least = min(spreads[index].spread.least, value)
        spreads[index].spread.greatest = max(spreads[index].spread.greatest, value)
    }

    @inline(__always)
    private mutating func observe(_ value: Double, weight: Double, _ series: UInt32) {
        let cell = cells + Int(series)
        if cell.pointee.state == .clean { openHistogram(series) }
        guard let window = Self.window(cell.pointee.payload) else { return }
        window.pointee.sum += value * weight
        if value < window.pointee.least { window.pointee.least = value }
        if value > window.pointee.greatest { window.pointee.greatest = value }
        let count = weight == window.pointee.unit ? 1 : window.pointee.addend(for: weight)
        let classic = window.pointee.classic  // see countLine
        classic[bounds.index(of: value, layout: Int(cell.pointee.layout))] += count
        window.pointee.buckets.add(count, at: index.index(of: value))
    }

    @inline(never)
    private mutating func openHistogram(_ series: UInt32) {
        let cell = cells + Int(series)
        let window = windows.take(hint: Int(cell.pointee.sizeHint))
        cell.pointee.payload = UInt64(UInt(bitPattern: window))
        cell.pointee.state = .histogram
        dirtyHistograms += 1
        touch(series)
    }

    @inline(never)
    private mutating func insert(_ member: UnsafeRawBufferPointer, _ series: UInt32) {
        let cell = cells + Int(series)
        if cell.pointee.state == .clean {
            cell.pointee.payload = UInt64(sets.count)
            cell.pointee.state = .set
            sets.append((series, DistinctSet(sketches)))
            touch(series)
        }
        sets[Int(cell.pointee.payload)].members.insert(memberHash.hash(member, seed: 0))
    }

    mutating func tick(second now: Int64) -> Bool {
        if second == 0 { second = now }
        return now == second ? true : close(nextSecond: now)
    }

    /// Hands the open second over and opens `nextSecond`.
    @inline(never)
    mutating func close(nextSecond: Int64) -> Bool {
        let closing = second == 0 ? nextSecond : second
        guard dirtyCount > 0 else {
            second = nextSecond
            return true
        }
        guard queue.hasRoom else {
            deferredWindows += 1
            second = nextSecond
            return false
        }
        second = nextSecond
        return queue.push(collect(second: closing))
    }

    private mutating func collect(second: Int64) -> ClosedWindow {
        var scalars: [ScalarChange] = []
        scalars.reserveCapacity(dirtyCount - dirtyHistograms - sets.count)
        var histograms = HistogramSecond()
        histograms.parts.reserveCapacity(dirtyHistograms)
        var classic: [Double] = []
        for position in 0..<dirtyCount {
            let series = dirty[position]
            let cell = cells + Int(series)
            switch cell.pointee.state {
            case .clean, .set: break
            case .change, .level:
                let value = Double(bitPattern: cell.pointee.payload)
                scalars.append(ScalarChange(value: value, series: series, isLevel: cell.pointee.state == .level))
            case .spread:
                let last = spreads[Int(cell.pointee.payload)].last
                scalars.append(ScalarChange(value: last, series: series, isLevel: true))
            case .sampled:
                let value = sampled[Int(cell.pointee.payload)].total
                scalars.append(ScalarChange(value: value, series: series, isLevel: false))
            case .histogram:
                guard let window = Self.window(cell.pointee.payload) else { break }
                let unit = window.pointee.unit
                let layout = cell.pointee.layout
                let part = HistogramSecond.Part(
                    sum: window.pointee.sum, least: window.pointee.least, greatest: window.pointee.greatest,
                    series: series, firstWord: 0, bucketCount: 0, schema: 0, isWide: false, layout: layout)
                histograms.append(part, buckets: window.pointee.buckets, unit: unit)
                let counts = UnsafeBufferPointer(
                    start: window.pointee.classic, count: bounds.bucketCount(Int(layout)))
                classic.append(contentsOf: counts.lazy.map { $0 * unit })
                if cell.pointee.counter != KeyCache.noSeries {
                    scalars.append(
                        ScalarChange(
                            value: counts.reduce(0, +) * unit, series: cell.pointee.counter, isLevel: false))
                }
                cell.pointee.sizeHint = UInt8(truncatingIfNeeded: windows.put(window))
            }
            cell.pointee.state = .clean
            cell.pointee.payload = 0
        }
        dirtyCount = 0
        dirtyHistograms = 0
        let total = lines.pointee
        defer {
            sets = []
            spreads.removeAll(keepingCapacity: true)
            sampled.removeAll(keepingCapacity: true)
            closedLines = total
        }
        return ClosedWindow(
            second: second, scalars: scalars, histograms: histograms, classicCounts: classic, sets: sets,
            lines: isTallied ? total &- closedLines : 0, exemplars: exemplars.take(second),
            spreads: spreads.map(\.spread), droppedExemplars: exemplars.takeDropped())
    }
}
