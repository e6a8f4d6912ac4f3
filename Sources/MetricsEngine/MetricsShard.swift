package import Telemetry

/// One receive thread's own series: the open second of every counter, gauge, histogram and set it has seen.
///
/// One thread owns a shard and calls all of it; nothing here is shared but the ring of closed seconds. A line whose
/// key bytes are known neither allocates nor sorts nor takes a lock.
package final class MetricsShard: @unchecked Sendable {
    private let core: UnsafeMutablePointer<ShardCore>

    private let link: ShardLink

    /// - Parameter tally: nil when what is recorded are no lines.
    init(link: ShardLink, memberHash: KeyedHash, sketches: SketchBudget, keyCapacity: Int, tally: LineTally?) {
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

    /// Applies one observation and attaches its trace to the bucket that it falls into.
    /// - Returns: the number of the series; nil when these bytes must be bound first and nothing was applied.
    package func observe(
        _ sample: MetricSample, trace: TraceID, span: SpanID, name: UnsafeRawBufferPointer,
        tags: UnsafeRawBufferPointer
    ) -> UInt32? {
        core.pointee.observe(sample, trace: trace, span: span, name: name, tags: tags)
    }

    /// Offers an observation of this shard's as the exemplar of somebody else's series.
    package func offer(_ exemplar: Exemplar, to target: SpanTarget, of targets: SpanTargets) {
        core.pointee.offer(exemplar, to: target, epoch: targets.epoch)
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
