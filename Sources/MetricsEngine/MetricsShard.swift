package import Telemetry

/// One receive thread's own series: the open second of every counter, gauge, histogram and set it has seen.
///
/// One thread owns a shard and calls all of it; nothing here is shared but the ring of closed seconds. A line whose
/// key bytes are known neither allocates nor sorts nor takes a lock.
package final class MetricsShard: @unchecked Sendable {
    private let core: UnsafeMutablePointer<ShardCore>

    private let link: ShardLink

    init(link: ShardLink, memberHash: KeyedHash, sketches: SketchBudget, keyCapacity: Int, tally: LineTally) {
        self.link = link
        core = .allocate(capacity: 1)
        core.initialize(
            to: ShardCore(
                queue: link.queue, memberHash: memberHash, sketches: sketches, keyCapacity: keyCapacity, tally: tally))
    }

    deinit {
        link.close()
        core.deinitialize(count: 1)
        core.deallocate()
    }

    /// Applies all samples of a line, or none of them.
    /// - Returns: nil when applied; else the kind under which these bytes must be bound first.
    @inline(never)
    package func record(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, samples: UnsafeBufferPointer<MetricSample>
    ) -> MetricKind? {
        core.pointee.record(name: name, tags: tags, samples: samples)
    }

    /// Attaches a trace to what these bytes just recorded: to counters and histograms, the latest of each bucket.
    /// - Parameter trace: its time is the open second's; its value is taken from the samples.
    package func attach(
        trace: TraceID, name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer,
        samples: UnsafeBufferPointer<MetricSample>
    ) {
        core.pointee.attach(trace: trace, name: name, tags: tags, samples: samples)
    }

    /// Binds key bytes to a registered series. A registration is good until the shard's next tick or flush.
    package func bind(
        name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind, to series: SeriesRegistration
    ) {
        core.pointee.bind(name: name, tags: tags, kind: kind, to: series)
    }

    /// Binds key bytes whose lines a rule drops.
    package func bindDropped(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer, kind: MetricKind) {
        core.pointee.bindDropped(name: name, tags: tags, kind: kind)
    }

    /// Forgets which series key bytes are bound to; what was recorded stays.
    package func forgetKeys() { core.pointee.keys.clear() }

    /// Applies one sample to a registered series without the key cache.
    package func record(_ sample: MetricSample, to series: SeriesRegistration) {
        core.pointee.reserve(series)
        var scaled = sample
        scaled.value *= series.scale
        core.pointee.apply(scaled, to: series.id)
        core.pointee.countLine()
    }

    /// Closes the open second when `nowNanoseconds` (Unix time) lies beyond it. Call at least five times a second.
    /// - Returns: false when the ring was full: everything is kept and goes out with the next second.
    @discardableResult
    package func tick(nowNanoseconds: Int64) -> Bool {
        let isHandedOver = core.pointee.tick(second: nowNanoseconds / 1_000_000_000)
        if link.isRequestOpen { core.pointee.dropKeys(link) }
        return isHandedOver
    }

    /// Closes the open second now, whatever the time.
    @discardableResult
    package func flush(nowNanoseconds: Int64) -> Bool {
        let isHandedOver = core.pointee.close(nextSecond: nowNanoseconds / 1_000_000_000)
        if link.isRequestOpen { core.pointee.dropKeys(link) }
        return isHandedOver
    }

    /// Whether the open second holds anything.
    package var isOpen: Bool { core.pointee.isOpen }
    /// Whether the engine waits for this shard to drop keys of expired series: tick, even when nothing comes in.
    package var isTickWanted: Bool { link.isRequestOpen }

    /// Seconds that could not be handed over in time because the engine stood still. Nothing was lost by it.
    package var deferredWindows: UInt64 { core.pointee.deferredWindows }
    /// Lines that were not applied because all of their keys are bound as dropped.
    package var droppedLines: UInt64 { core.pointee.droppedLines }
    /// How often the key cache was full and forgot everything.
    package var keyCacheResets: UInt64 { core.pointee.keys.resets }
}

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

    /// `spread` is a level whose extremes lie in `spreads`, at the index that is the payload.
    private enum State: UInt8 { case clean, change, level, histogram, set, spread }

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
    private var exemplars: [SeriesExemplar] = []
    private var exemplarCount = 0
    private var second: Int64 = 0
    private var scales = UnitScales()
    private(set) var deferredWindows: UInt64 = 0
    private(set) var droppedLines: UInt64 = 0
    /// Lines taken, for a later process to see; and how many of them have left in windows.
    private let lines: UnsafeMutablePointer<UInt64>
    private var closedLines: UInt64 = 0
    private let tally: LineTally
    private var dropping = KeyDropping()

    init(
        queue: WindowQueue, memberHash: KeyedHash, sketches: SketchBudget, keyCapacity: Int, tally: LineTally
    ) {
        self.queue = queue
        self.tally = tally
        lines = tally.makeSlot()
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

    /// Exemplars of one second; later ones take the place of the earliest.
    private static let exemplarsPerSecond = 4_096

    @inline(never)
    mutating func attach(
        trace: TraceID, name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer,
        samples: UnsafeBufferPointer<MetricSample>
    ) {
        for sample in samples {
            var value: Double
            switch sample.kind {
            case .counter, .histogram, .distribution: value = sample.value
            case .timer: value = sample.value / 1_000
            case .gauge, .set: continue
            }
            let bound = keys.find(name: name, tags: tags, kind: sample.kind)
            guard bound < KeyCache.dropped else { continue }
            if bound >= KeyCache.firstScaled { value = scales.scaled(value, bound >> KeyCache.scaleShift) }
            let series = bound & (KeyCache.firstScaled - 1)
            let exemplar = Exemplar(traceID: trace, value: value, nanoseconds: 0)
            let entry = SeriesExemplar(series: series, exemplar: exemplar)
            if exemplars.count < Self.exemplarsPerSecond {
                exemplars.append(entry)
            } else {
                exemplars[exemplarCount % Self.exemplarsPerSecond] = entry
            }
            exemplarCount &+= 1
        }
    }

    /// The exemplars of the open second, oldest first, stamped with it.
    private mutating func takeExemplars(_ second: Int64) -> [SeriesExemplar] {
        guard exemplarCount > 0 else { return [] }
        let split = exemplarCount > exemplars.count ? exemplarCount % exemplars.count : 0
        var taken = Array(exemplars[split...] + exemplars[..<split])
        for index in taken.indices { taken[index].exemplar.nanoseconds = second &* 1_000_000_000 }
        exemplars.removeAll(keepingCapacity: true)
        exemplarCount = 0
        return taken
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
        case .counter: change(by: sample.value, series)
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
        } else {
            changeLevel(by: value, series)
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
        let classic = window.pointee.classic  // see countLine
        classic[bounds.index(of: value, layout: Int(cell.pointee.layout))] += weight
        window.pointee.buckets.add(weight, at: index.index(of: value))
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
            case .histogram:
                guard let window = Self.window(cell.pointee.payload) else { break }
                let layout = cell.pointee.layout
                let part = HistogramSecond.Part(
                    sum: window.pointee.sum, least: window.pointee.least, greatest: window.pointee.greatest,
                    series: series, firstWord: 0, bucketCount: 0, schema: 0, isWide: false, layout: layout)
                histograms.append(part, buckets: window.pointee.buckets)
                let counts = UnsafeBufferPointer(
                    start: window.pointee.classic, count: bounds.bucketCount(Int(layout)))
                classic.append(contentsOf: counts)
                if cell.pointee.counter != KeyCache.noSeries {
                    scalars.append(
                        ScalarChange(value: counts.reduce(0, +), series: cell.pointee.counter, isLevel: false))
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
            closedLines = total
        }
        return ClosedWindow(
            second: second, scalars: scalars, histograms: histograms, classicCounts: classic, sets: sets,
            lines: total &- closedLines, exemplars: takeExemplars(second), spreads: spreads.map(\.spread))
    }
}
