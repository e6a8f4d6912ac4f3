import Bytes
import MetricsEngine
import Synchronization
import Telemetry
import TestKit
import Testing

/// Closed blocks of an engine as segments in memory.
private struct MemorySegments: RecordedSegments {
    struct Segment: RecordedSegment {
        var facts: RecorderBlockFacts
        var chunks: [RecorderChunk]
        var families: [(first: [UInt8], last: [UInt8])] { chunks.map { ($0.firstFamily, $0.lastFamily) } }
        func chunk(_ index: Int) -> [UInt8]? { chunks[index].plain }
    }

    var list: [Segment] = []

    /// Takes what the engine has closed.
    mutating func take(from engine: MetricsEngine) {
        for block in engine.closedBlocks {
            var segment = Segment(facts: block.facts, chunks: [])
            block.forEachChunk {
                segment.chunks.append($0)
                return true
            }
            list.append(segment)
            engine.release(block: block.facts.number)
        }
    }

    func segments(from: Int64, through: Int64) -> [any RecordedSegment] {
        let start = list.lastIndex { $0.facts.isFull && $0.facts.first <= from } ?? 0
        return list.isEmpty ? [] : list[start...].filter { $0.facts.first <= through + 120 }
    }
}

@Suite("The recorder's blocks")
struct RecorderTests {
    private let start: Int64 = 1_700_000_000

    private func ask(
        _ engine: MetricsEngine, _ segments: MemorySegments, _ name: String? = nil, labels: [RecordMatcher] = [],
        from: Int64? = nil, through: Int64, limit: Int = 1_000
    ) throws -> RecordedAnswer {
        try engine.recorded(
            RecordSelector(name: name, labels: labels), from: from ?? start, through: through, segments: segments,
            limit: limit, nowNanoseconds: (through + 1) * 1_000_000_000, budget: QueryBudget())
    }

    private func end(_ second: Int64, _ shards: [MetricsShard], _ engine: MetricsEngine) {
        for shard in shards { shard.flush(nowNanoseconds: (second + 1) * 1_000_000_000) }
        engine.advance(nowNanoseconds: (second + 1) * 1_000_000_000)
    }

    @Test("Every second of every series comes back, from memory and from chunks", arguments: [1, 2, 3] as [UInt64])
    func model(seed: UInt64) throws {
        var random = SeededRandom(seed: seed)
        let engine = MetricsEngine()
        engine.beginRecording(number: 1, sealed: [])
        let shards = [engine.makeShard(), engine.makeShard()]
        for shard in shards { shard.flush(nowNanoseconds: start * 1_000_000_000) }
        var added: [String: [Int64: Double]] = [:]
        var last: [String: [Int64: Double]] = [:]
        var observed: [String: [Int64: [Double]]] = [:]
        var segments = MemorySegments()
        let seconds = start..<start + 200
        for second in seconds {
            for _ in 0..<random.below(12) {
                let shard = random.below(2)
                let tag = "k:\(random.below(3))"
                switch random.below(3) {
                case 0:
                    let value = Double(random.below(100))
                    added[tag, default: [:]][second, default: 0] += value
                    feed(shards[shard], engine, "c", .counter, value, tags: tag)
                case 1:
                    let value = Double(random.below(1_000)) / 8
                    last[tag, default: [:]][second] = value
                    // One shard a gauge: which of two is the last is not defined.
                    feed(shards[0], engine, "g", .gauge, value, tags: tag)
                default:
                    let value = Double(1 + random.below(1_000))
                    observed[tag, default: [:]][second, default: []].append(value)
                    feed(shards[shard], engine, "t", .timer, value, tags: tag)
                }
            }
            end(second, shards, engine)
            if random.oneIn(3) { engine.closeBlock(nowSecond: second + 1, isForced: random.oneIn(10)) }
            if random.oneIn(20) || engine.closedBlocks.count == 2 { segments.take(from: engine) }
        }
        segments.take(from: engine)
        #expect(segments.list.count >= 3, "seed \(seed)")
        let answer = try ask(engine, segments, through: seconds.upperBound - 1)
        #expect(answer.damagedChunks == 0)
        for series in answer.series {
            let tag = "k:" + (series.labels.first?.value ?? "")
            let context = "seed \(seed), \(series.family) \(tag)"
            switch series.kind {
            case .counter:
                let steps = series.scalarSteps(from: start, through: seconds.upperBound, step: 1)
                #expect(Dictionary(uniqueKeysWithValues: steps.map { ($0.time, $0.value) }) == added[tag], "\(context)")
                #expect(steps.last?.total == added[tag]?.values.reduce(0, +), "\(context)")
            case .gauge:
                let steps = series.scalarSteps(from: start, through: seconds.upperBound, step: 1)
                #expect(Dictionary(uniqueKeysWithValues: steps.map { ($0.time, $0.value) }) == last[tag], "\(context)")
            default:
                let steps = series.histogramSteps(
                    from: start, through: seconds.upperBound, step: 1, quantiles: [0, 0.5, 1])
                #expect(steps.count == observed[tag]?.count, "\(context)")
                for step in steps {
                    let values = (observed[tag]?[step.time] ?? []).sorted().map { $0 / 1_000 }
                    #expect(step.count == Double(values.count), "\(context) \(step.time)")
                    #expect(step.least == values.first && step.greatest == values.last, "\(context)")
                    let median = values[(values.count + 1) / 2 - 1]
                    #expect(abs(step.quantiles[1] - median) <= 0.006 * median, "\(context) \(step.time)")
                }
            }
            try checkTotals(series, answer.blocks, engine, at: seconds.upperBound, context)
        }
        #expect(answer.series.count == added.count + last.count + observed.count)
    }

    /// The cumulative series end where a scrape is.
    private func checkTotals(
        _ series: RecordedSeries, _ blocks: [RecordedBlock], _ engine: MetricsEngine, at second: Int64,
        _ context: String
    ) throws {
        let shown = snapshot(engine, at: second)
        for totals in series.totals(from: start, through: second - 1, blocks: blocks) {
            #expect(totals.seconds == totals.seconds.sorted() && Set(totals.seconds).count == totals.seconds.count)
            let labels = String(decoding: series.labelText, as: UTF8.self)
            guard let value = shown["\(totals.name){\(labels)}"] else { continue }
            let last = try #require(totals.values.last)
            #expect(totals.seconds.last == second - 1, "\(context) \(totals.name)")
            #expect(abs(last - value) <= 1e-9 * abs(value), "\(context) \(totals.name)")
        }
    }

    @Test("A series that stands still is known from the last full block on, and a gauge keeps its extremes")
    func idle() throws {
        var expiry = ExpiryPolicy()
        expiry.gauges = 0
        let engine = MetricsEngine(expiry: expiry)
        engine.beginRecording(number: 1, sealed: [])
        let shard = engine.makeShard()
        shard.flush(nowNanoseconds: start * 1_000_000_000)
        var segments = MemorySegments()
        feed(shard, engine, "seldom", .counter, 5)
        for value in [4.0, 9, -2, 7] { feed(shard, engine, "stock", .gauge, value) }
        feed(shard, engine, "stock", .gauge, -1, isDelta: true)
        for second in start..<start + 1_300 {
            feed(shard, engine, "often", .counter, 1)
            end(second, [shard], engine)
            engine.closeBlock(nowSecond: second + 1, isForced: false)
            segments.take(from: engine)
        }
        #expect(segments.list.filter(\.facts.isFull).count == 3)
        let late = start + 1_290
        let answer = try ask(engine, segments, from: late, through: late)
        #expect(answer.series.map(\.family) == ["often", "seldom", "stock"])
        #expect(answer.series.map { $0.value(before: late) } == [1_290, 5, 6])
        let gauge = try ask(engine, segments, "stock", from: start, through: start)
        let step = try #require(gauge.series.first?.scalarSteps(from: start, through: start, step: 1).first)
        #expect((step.value, step.least, step.greatest) == (6, -2, 9))
        let seldom = try ask(engine, segments, "seldom_total", through: late)
        let totals = try #require(seldom.series.first?.totals(from: start, through: late, blocks: seldom.blocks).first)
        #expect(totals.seconds == Array(start...late) && totals.values.allSatisfy { $0 == 5 })
    }

    @Test("Conditions select; too many series are refused")
    func selection() throws {
        let engine = MetricsEngine()
        engine.beginRecording(number: 1, sealed: [])
        let shard = engine.makeShard()
        shard.flush(nowNanoseconds: start * 1_000_000_000)
        for status in ["200", "404", "500", "503"] {
            feed(shard, engine, "hits", .counter, 1, tags: "status:\(status)")
        }
        end(start, [shard], engine)
        engine.closeBlock(nowSecond: start + 1, isForced: true)
        var segments = MemorySegments()
        segments.take(from: engine)
        func statuses(_ test: RecordMatcher.Test) throws -> [String] {
            let matcher = RecordMatcher(label: "status", test: test)
            return try ask(engine, segments, "hits", labels: [matcher], through: start).series.map {
                $0.labels[0].value
            }
        }
        #expect(try statuses(.equal("404")) == ["404"])
        #expect(try statuses(.notEqual("404")) == ["200", "500", "503"])
        #expect(try statuses(.matches(LinearRegex("5.."))) == ["500", "503"])
        #expect(try statuses(.matchesNot(LinearRegex("5.."))) == ["200", "404"])
        #expect(try ask(engine, segments, "other", through: start).series.isEmpty)
        #expect(throws: RecordedQueryError.tooManySeries(limit: 3)) {
            try ask(engine, segments, "hits", through: start, limit: 3)
        }
    }

    @Test("What segments hold of a log is not taken out of it again, and the rest is")
    func marks() throws {
        let engine = MetricsEngine()
        var sealed = RecorderBlockFacts(
            number: 8, first: start - 9, through: start, isFull: true, mark: RecorderMark(log: 77, windows: 2))
        sealed.seriesCount = 1
        engine.beginRecording(number: 9, sealed: [sealed])
        engine.beginLog(77, isRestoring: true)
        let shard = engine.makeShard()
        shard.flush(nowNanoseconds: start * 1_000_000_000)
        for second in start..<start + 5 {
            feed(shard, engine, "n", .counter, 1)
            end(second, [shard], engine)
        }
        engine.closeBlock(nowSecond: start + 100, isForced: true)
        let block = try #require(engine.closedBlocks.first)
        #expect(block.facts.number == 9 && block.facts.first == start + 1 && block.facts.through == start + 4)
        #expect(block.facts.mark == RecorderMark(log: 77, windows: 5))
    }

    /// A block of one counter and one gauge, as the page shows it.
    private func example() throws -> RecorderChunk {
        let engine = MetricsEngine()
        engine.beginRecording(number: 1, sealed: [])
        let shard = engine.makeShard()
        shard.flush(nowNanoseconds: start * 1_000_000_000)
        for (second, count) in [(start, 3.0), (start + 1, 5)] {
            feed(shard, engine, "orders", .counter, count, tags: "region:eu")
            end(second, [shard], engine)
        }
        feed(shard, engine, "stock", .gauge, 7)
        feed(shard, engine, "stock", .gauge, 2.5)
        end(start + 2, [shard], engine)
        engine.closeBlock(nowSecond: start + 10, isForced: true)
        var chunks: [RecorderChunk] = []
        engine.closedBlocks.first?.forEachChunk {
            chunks.append($0)
            return true
        }
        return try #require(chunks.first)
    }

    @Test("The worked example of the page is what is written")
    func page() throws {
        let written = WorkedDump.formatted(try example().plain)
        #expect(try WorkedDump.text("recorder-chunk", on: "recorder.md") == written, "\n\(written)")
    }

    @Test("No cut and no flipped byte of a chunk traps")
    func damage() throws {
        let engine = MetricsEngine()
        let chunk = try example()
        var damaged = chunk
        func query() throws -> Int {
            let facts = RecorderBlockFacts(
                number: 1, first: start, through: start + 8, isFull: true, mark: RecorderMark())
            let segment = MemorySegments.Segment(facts: facts, chunks: [damaged])
            return try ask(engine, MemorySegments(list: [segment]), through: start + 8).damagedChunks
        }
        #expect(try query() == 0)
        for length in 1..<chunk.plain.count {
            damaged.plain = Array(chunk.plain.prefix(length))
            #expect(try query() == 1, "cut to \(length)")
        }
        for offset in chunk.plain.indices {
            for mask: UInt8 in [1, 0x80, 0xff] {
                damaged.plain = chunk.plain
                damaged.plain[offset] ^= mask
                _ = try query()
            }
        }
    }
}
