internal import Synchronization
package import Telemetry

extension MetricsEngine {
    /// Applies the series of one remote write request; they are in every scrape that starts after the return; with a
    /// log, once that has written them.
    ///
    /// Of counters and native histograms what is new since the last sample is added, so that they only grow, whoever
    /// restarts; all others are gauges that hold what was sent last. Times order the samples of a series and tell
    /// repetitions; what is written counts for the second of its arrival. Requests are applied one after the other.
    /// - Parameters:
    ///   - nowNanoseconds: Unix time.
    ///   - startedNanoseconds: when this process began. A series that is not known may be counted already.
    /// - Source: schemas/wire/remote-write.md, "What becomes of a series".
    package func apply(
        _ batch: RemoteWriteBatch, nowNanoseconds: Int64, startedNanoseconds: Int64
    ) -> RemoteWriteReport {
        var report = RemoteWriteReport()
        let second = nowNanoseconds / 1_000_000_000
        streams.withLock { streams in
            var application = RemoteWriteApplication(
                engine: self, batch: batch, window: PointWindow(second: second), started: startedNanoseconds)
            for series in batch.series { application.apply(series, streams: &streams, report: &report) }
            report.reject(.tooManyPoints, batch.leftOut, "the request")
            let window = application.window.closed(streams.takeChanges())
            pointWindows.withLock { $0.append(window) }
        }
        advance(nowNanoseconds: nowNanoseconds)
        return report
    }
}

/// Applies series one by one to a window of their own.
private struct RemoteWriteApplication {
    let engine: MetricsEngine
    let batch: RemoteWriteBatch
    var window: PointWindow
    private let started: Int64
    private let metadata: [ArraySlice<UInt8>: RemoteWriteBatch.Metadata]

    init(engine: MetricsEngine, batch: RemoteWriteBatch, window: PointWindow, started: Int64) {
        self.engine = engine
        self.batch = batch
        self.window = window
        self.started = started
        metadata = Dictionary(
            batch.metadata.map { (batch.bytes($0.family), $0) }, uniquingKeysWith: { first, _ in first })
    }

    mutating func apply(
        _ series: RemoteWriteBatch.Series, streams: inout PointStreams, report: inout RemoteWriteReport
    ) {
        let named: NamedSeries
        do throws(PointRejection) {
            if let defect = series.defect { throw defect }
            named = try NamedSeries(series, batch, metadata)
        } catch {
            return report.reject(error, series.samples.count + series.histograms.count, "a series")
        }
        if !series.samples.isEmpty || (series.histograms.isEmpty && named.isCounter && !series.exemplars.isEmpty) {
            do throws(PointRejection) {
                try writeSamples(of: series, named, streams: &streams, report: &report)
            } catch { report.reject(error, series.samples.count, named.place) }
        }
        guard !series.histograms.isEmpty else { return }
        do throws(PointRejection) {
            try writeHistograms(of: series, named, streams: &streams, report: &report)
        } catch { report.reject(error, series.histograms.count, named.place) }
    }

    /// - Throws: instead of naming an overflow series: the numbers of different senders have no sum there.
    private func register(
        _ named: NamedSeries, _ kind: MetricFamilyKind, bounds: [Double]? = nil
    ) throws(PointRejection) -> SeriesRegistration {
        let (family, labels) = named.identity(kind)
        let registration = engine.registry.withLock { registry -> SeriesRegistration? in
            let registration = registry.register(
                family: family, kind: kind, labels: labels, help: named.help, bounds: bounds)
            let isOwn = registry.series[Int(registration.id)].labels.elementsEqual(labels)
            return isOwn ? registration : nil
        }
        guard let registration else { throw .tooManySeries }
        return registration
    }

    // MARK: Samples

    /// - Throws: before anything is written, for all of them.
    private mutating func writeSamples(
        of series: RemoteWriteBatch.Series, _ named: NamedSeries, streams: inout PointStreams,
        report: inout RemoteWriteReport
    ) throws(PointRejection) {
        let registration = try register(named, named.isCounter ? .counter : .gauge)
        var last = streams.last(series: registration.id)
        var state = SampleState(last: last)
        for sample in batch.samples[series.samples] {
            do throws(PointRejection) {
                let time = try nanoseconds(of: sample.time)
                if sample.isStale {
                    report.staleMarkers += 1
                } else if try isRepeated(time, last) {
                    guard case .number(let value) = last?.state, value.bitPattern == sample.value.bitPattern
                    else { throw .duplicateTime }
                    report.repeated += 1
                } else {
                    if named.isCounter {
                        try count(sample, time, on: registration, &state)
                    } else {
                        state.value = sample.value
                    }
                    last = (time, .number(sample.value))
                    state.isChanged = true
                }
                report.samples += 1
            } catch { report.reject(error, 1, named.place) }
        }
        keep(last, state, named, registration, &streams, &report)
        guard named.isCounter else { return }
        window.note(batch.exemplars[series.exemplars], start: state.start, on: registration.id)
        report.exemplars += series.exemplars.count
    }

    /// Puts into the window what the samples of one series came to.
    private mutating func keep(
        _ last: (time: UInt64, state: CumulativeState)?, _ state: SampleState, _ named: NamedSeries,
        _ registration: SeriesRegistration, _ streams: inout PointStreams, _ report: inout RemoteWriteReport
    ) {
        guard state.isChanged, let last else { return }
        do throws(PointRejection) {
            try streams.keep(
                last.state, series: registration.id, start: 0, time: last.time, nowSecond: window.second)
        } catch  where named.isCounter {
            // What cannot be followed cannot be told from what is counted already.
            report.samples -= state.counted
            return report.reject(error, state.counted, named.place)
        } catch {
            // A gauge holds what it is told, in whatever order.
        }
        if named.isCounter {
            window.add(state.change, to: registration.id)
        } else {
            window.set(state.value, on: registration.id)
        }
    }

    private func count(
        _ sample: RemoteWriteBatch.Sample, _ time: UInt64, on series: SeriesRegistration, _ state: inout SampleState
    ) throws(PointRejection) {
        guard sample.value.isFinite, sample.value >= 0 else { throw .badValue }
        let start = startNanoseconds(sample.start)
        if let value = state.known {
            let isNew = sample.value < value || start > state.time
            state.change += isNew ? sample.value : sample.value - value
        } else {
            let counted = engine.counted(
                in: series, from: start, processStart: started, nowNanoseconds: window.second * 1_000_000_000)
            state.change += max(sample.value - counted, 0)
        }
        (state.known, state.time, state.start) = (sample.value, time, start)
        state.counted += 1
    }

    // MARK: Times

    private func nanoseconds(of milliseconds: Int64) throws(PointRejection) -> UInt64 {
        guard milliseconds <= (window.second + Limits.futureSeconds) * 1_000 else { throw .inFuture }
        return UInt64(clamping: milliseconds) * 1_000_000
    }

    /// A start that has not been yet is none.
    private func startNanoseconds(_ milliseconds: Int64) -> UInt64 {
        milliseconds > 0 && milliseconds / 1_000 <= window.second ? UInt64(milliseconds) * 1_000_000 : 0
    }

    /// - Returns: whether the time is that of the last sample.
    private func isRepeated(
        _ time: UInt64, _ last: (time: UInt64, state: CumulativeState)?
    ) throws(PointRejection) -> Bool {
        guard let last else { return false }
        guard time >= last.time else { throw .outOfOrder }
        return time == last.time
    }

    // MARK: Histograms

    /// - Throws: before anything is written, for all of them.
    private mutating func writeHistograms(
        of series: RemoteWriteBatch.Series, _ named: NamedSeries, streams: inout PointStreams,
        report: inout RemoteWriteReport
    ) throws(PointRejection) {
        var bounds: [Double]?
        if case .explicit(let point) = batch.histograms[series.histograms.lowerBound].content { bounds = point.bounds }
        let registration = try register(named, .histogram, bounds: bounds)
        var start: UInt64 = 0
        for histogram in batch.histograms[series.histograms] {
            do throws(PointRejection) {
                let time = try nanoseconds(of: histogram.time)
                let last = streams.last(series: registration.id)
                if histogram.isStale {
                    report.staleMarkers += 1
                } else if let defect = histogram.defect {
                    throw defect
                } else if try isRepeated(time, last) {
                    guard histogram.isSame(last?.state) else { throw .duplicateTime }
                    report.repeated += 1
                } else {
                    start = startNanoseconds(histogram.start)
                    let isNew = last.map { start > $0.time } ?? false
                    try write(histogram, registration, since: isNew ? nil : last?.state, start, time, &streams, isNew)
                }
                report.histograms += 1
            } catch { report.reject(error, 1, named.place) }
        }
        window.note(batch.exemplars[series.exemplars], start: start, on: registration.id)
        report.exemplars += series.exemplars.count
    }

    /// - Parameter isNew: the sender says that it has begun again since the last histogram.
    private mutating func write(
        _ histogram: RemoteWriteBatch.Histogram, _ series: SeriesRegistration, since last: CumulativeState?,
        _ start: UInt64, _ time: UInt64, _ streams: inout PointStreams, _ isNew: Bool
    ) throws(PointRejection) {
        // The counts of an earlier process cannot be told bucket by bucket; from here on they can.
        let isCounted =
            last == nil && !isNew
            && engine.counted(
                in: series, from: start, processStart: started, nowNanoseconds: window.second * 1_000_000_000) > 0
        let second = window.second
        switch histogram.content {
        case .exponential(let point):
            try point.validate()
            var change = point
            if case .exponential(let before) = last { change = point.since(before) }
            try streams.keep(.exponential(point), series: series.id, start: 0, time: time, nowSecond: second)
            if !isCounted { window.add(change, to: series.id, buckets: series.buckets ?? .wide) }
        case .explicit(let point):
            try point.validate()
            var change = point
            if case .explicit(let before) = last, before.bounds == point.bounds { change = try point.since(before) }
            try streams.keep(.explicit(point), series: series.id, start: 0, time: time, nowSecond: second)
            if !isCounted { window.add(change, to: series.id, buckets: series.buckets ?? .wide) }
        }
    }
}

/// What the samples of one series in one request come to.
private struct SampleState {
    /// Of a gauge.
    var value = 0.0
    /// Of a counter: the last value, if any is known, and its time.
    var known: Double?
    var time: UInt64 = 0
    var change = 0.0
    var start: UInt64 = 0
    var counted = 0
    var isChanged = false

    init(last: (time: UInt64, state: CumulativeState)?) {
        guard let last, case .number(let value) = last.state else { return }
        (self.value, known, time) = (value, value, last.time)
    }
}

extension RemoteWriteBatch.Histogram {
    fileprivate func isSame(_ state: CumulativeState?) -> Bool {
        switch (content, state) {
        case (.exponential(let point), .exponential(let last)):
            point.count == last.count && point.sum == last.sum && point.scale == last.scale
                && point.offset == last.offset && point.zeroCount == last.zeroCount && point.counts == last.counts
        case (.explicit(let point), .explicit(let last)):
            point.count == last.count && point.sum == last.sum && point.bounds == last.bounds
                && point.counts == last.counts
        default: false
        }
    }
}
