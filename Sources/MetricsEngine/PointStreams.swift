internal import Telemetry

/// The last point of every cumulative OTLP stream and of every remote write series, to tell what is new in the next.
///
/// A stream is a series and a start time: a sender that starts again, and two senders that share all their labels, are
/// streams of their own and add up. What is held is bounded in streams and in numbers; a full table first forgets the
/// streams that were silent for ten minutes.
struct PointStreams {
    /// Streams of one series; the one silent for longest gives way.
    private static let streamsPerSeries = 16
    private static let silentSeconds: Int64 = 600

    private let streamLimit: Int
    private let cellLimit: Int
    private var bySeries: [UInt32: [PointStream]] = [:]
    private(set) var count = 0
    private var cells = 0
    private var changes: [StreamChange] = []

    init(streamLimit: Int = Limits.pointStreams, cellLimit: Int = Limits.pointStreamCells) {
        self.streamLimit = streamLimit
        self.cellLimit = cellLimit
    }

    /// What was kept since the last call, in order.
    mutating func takeChanges() -> [StreamChange] {
        defer { changes = [] }
        return changes
    }

    /// All streams as they were before `pending`, changes that came last, in their order.
    func all(before pending: [StreamChange]) -> [PointStream] {
        var earlier: [StreamKey: PointStream?] = [:]
        for change in pending where earlier[change.stream.key] == nil {
            earlier[change.stream.key] = .some(change.previous)
        }
        var streams: [PointStream] = []
        streams.reserveCapacity(count)
        for stream in bySeries.values.joined() {
            guard let previous = earlier[stream.key] else {
                streams.append(stream)
                continue
            }
            if let previous { streams.append(previous) }
        }
        return streams
    }

    /// Takes a stream of an earlier process back, as far as there is room. Seconds go to the log in the order of their
    /// clock, which may have been set back; the times of a stream only grow.
    mutating func restore(_ stream: PointStream) {
        let known = bySeries[stream.series]?.first { $0.start == stream.start }
        if let known, known.time > stream.time { return }
        do throws(PointRejection) { try keep(stream) } catch {
            // A full table costs what a stream that nobody has followed costs: the series' total is compared instead.
        }
    }

    /// What to take the difference to; nil for a stream not seen before.
    enum Known {
        case first(hasSiblings: Bool)
        case last(CumulativeState)
    }

    func known(series: UInt32, start: UInt64, time: UInt64) throws(PointRejection) -> Known {
        let streams = bySeries[series] ?? []
        guard let stream = streams.first(where: { $0.start == start }) else {
            return .first(hasSiblings: !streams.isEmpty)
        }
        guard time >= stream.time else { throw .outOfOrder }
        return .last(stream.last)
    }

    /// The last point of a stream whose start time is not part of its identity, and its time.
    func last(series: UInt32) -> (time: UInt64, state: CumulativeState)? {
        bySeries[series]?.first { $0.start == 0 }.map { ($0.time, $0.last) }
    }

    mutating func keep(
        _ state: CumulativeState, series: UInt32, start: UInt64, time: UInt64, nowSecond: Int64
    ) throws(PointRejection) {
        let stream = PointStream(series: series, start: start, time: time, seenSecond: nowSecond, last: state)
        let previous = try keep(stream)
        changes.append(StreamChange(stream: stream, previous: previous))
    }

    /// - Returns: what the stream was before.
    @discardableResult
    private mutating func keep(_ stream: PointStream) throws(PointRejection) -> PointStream? {
        let added = stream.last.cells
        if let index = bySeries[stream.series]?.firstIndex(where: { $0.start == stream.start }) {
            let previous = bySeries[stream.series]?[index]
            cells += added - (previous?.last.cells ?? 0)
            bySeries[stream.series]?[index] = stream
            return previous
        }
        if count >= streamLimit || cells + added > cellLimit { forgetSilent(stream.seenSecond) }
        guard count < streamLimit, cells + added <= cellLimit else { throw .tooManyStreams }
        var streams = bySeries[stream.series] ?? []
        if streams.count >= Self.streamsPerSeries,
            let oldest = streams.indices.min(by: { streams[$0].seenSecond < streams[$1].seenSecond })
        {
            cells -= streams.remove(at: oldest).last.cells
            count -= 1
        }
        streams.append(stream)
        bySeries[stream.series] = streams
        count += 1
        cells += added
        return nil
    }

    /// Forgets the streams of series that were removed.
    mutating func forget(_ ids: [UInt32]) {
        for id in ids {
            guard let streams = bySeries.removeValue(forKey: id) else { continue }
            count -= streams.count
            cells -= streams.reduce(0) { $0 + $1.last.cells }
        }
    }

    private mutating func forgetSilent(_ nowSecond: Int64) {
        for (series, streams) in bySeries {
            let heard = streams.filter { $0.seenSecond > nowSecond - Self.silentSeconds }
            guard heard.count < streams.count else { continue }
            count -= streams.count - heard.count
            cells -= streams.reduce(0) { $0 + $1.last.cells } - heard.reduce(0) { $0 + $1.last.cells }
            bySeries[series] = heard.isEmpty ? nil : heard
        }
    }
}

/// What tells the streams of all senders apart.
struct StreamKey: Hashable {
    var series: UInt32
    /// Unix nanoseconds; 0 where the start is no part of a stream's identity.
    var start: UInt64
}

/// One stream and the last point of it.
struct PointStream: Sendable {
    var series: UInt32
    var start: UInt64
    /// Of the last point, unix nanoseconds.
    var time: UInt64
    var seenSecond: Int64
    var last: CumulativeState

    var key: StreamKey { StreamKey(series: series, start: start) }
}

/// A stream as a request left it, and as it was before; nil for a new one.
struct StreamChange: Sendable {
    var stream: PointStream
    var previous: PointStream?
}

/// A cumulative point as far as the next one needs it.
enum CumulativeState: Sendable {
    case number(Double)
    case explicit(ExplicitPoint)
    case exponential(ExponentialPoint)

    /// Numbers held.
    var cells: Int {
        switch self {
        case .number: 1
        case .explicit(let point): 2 + point.counts.count + point.bounds.count
        case .exponential(let point): 4 + point.counts.count
        }
    }
}

extension ExplicitPoint {
    /// What came since `last`; all of it when a count went down, which is a new beginning.
    func since(_ last: ExplicitPoint) throws(PointRejection) -> ExplicitPoint {
        guard bounds == last.bounds, counts.count == last.counts.count else { throw .badBuckets }
        var change = self
        for index in counts.indices {
            guard counts[index] >= last.counts[index] else { return self }
            change.counts[index] = counts[index] - last.counts[index]
        }
        guard count >= last.count else { return self }
        change.count = count - last.count
        change.sum = sum - last.sum
        return change
    }
}

extension ExponentialPoint {
    /// The same in buckets `steps` times twice as wide. Exact.
    func downscaled(by steps: Int) -> ExponentialPoint {
        guard steps > 0 else { return self }
        var coarse = self
        coarse.scale = scale - steps
        coarse.offset = offset >> min(steps, 63)
        coarse.counts = []
        for (position, count) in counts.enumerated() {
            let place = (offset &+ position) >> min(steps, 63) &- coarse.offset
            while coarse.counts.count <= place { coarse.counts.append(0) }
            coarse.counts[place] &+= count
        }
        return coarse
    }

    /// What came since `last`, which may be finer; all of it when a count went down or the sender went finer.
    func since(_ last: ExponentialPoint) -> ExponentialPoint {
        guard scale <= last.scale, count >= last.count, zeroCount >= last.zeroCount else { return self }
        let before = last.downscaled(by: last.scale - scale)
        var change = self
        for (position, count) in before.counts.enumerated() where count > 0 {
            let place = before.offset &+ position &- offset
            guard counts.indices.contains(place), counts[place] >= count else { return self }
            change.counts[place] = counts[place] - count
        }
        change.count = count - last.count
        change.zeroCount = zeroCount - last.zeroCount
        change.sum = sum - last.sum
        return change
    }
}
