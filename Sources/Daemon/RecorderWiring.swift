internal import Endpoints
internal import Logging
internal import SegmentStore
internal import Synchronization
internal import Telemetry

extension CrestDaemon {
    /// Finds the recorded seconds; the store, and with it the directory's lock, must be open, the metrics log not yet.
    func openRecorder(_ metrics: MetricsService) throws(StartFailure) {
        guard configuration.recorderAge != 0 else { return }
        do {
            let opened = try MetricsRecorder.open(
                disk, source: metrics.engine, retention: RecorderRetention(configuration),
                configuration: storeSettings())
            recorder.withLock { $0 = opened }
            for problem in opened.problems { log.warning("recovery: \(problem)") }
        } catch { throw StartFailure(StoreOpenError(disk: error), directory: configuration.dataDirectory) }
    }
}

extension RecorderRetention {
    init(_ configuration: Configuration) {
        self.init(age: configuration.recorderAge, bytes: configuration.recorderBytes)
    }
}

extension DaemonMetrics {
    static func recorder(_ counts: RecorderCounts) -> [SelfMetricFamily] {
        var families: [SelfMetricFamily] = [
            .gauge("crest_recorder_segments", "Segments of recorded seconds.", Double(counts.segments)),
            .gauge("crest_recorder_bytes", "Bytes of these segments.", Double(counts.bytes)),
            .gauge("crest_recorder_series", "Series in the newest of them.", Double(counts.series)),
            .counter("crest_recorder_values_total", "Seconds of series written.", counts.values),
            .counter("crest_recorder_segments_expired_total", "Segments removed by retention.", counts.expiredSegments),
            .counter("crest_recorder_errors_total", "Writes of the recorder that failed.", counts.errors),
            .counter("crest_recorder_damaged_chunks_total", "Damaged pieces found by queries.", counts.damagedChunks),
            .gauge(
                "crest_recorder_quarantined", "Damaged segments set aside at the start.", Double(counts.quarantined)),
            SelfMetricFamily(
                name: "crest_recorder_write_seconds_total", isCounter: true, help: "Time spent writing segments.",
                samples: [SelfMetricFamily.Sample(value: Double(counts.writeNanoseconds) / 1e9)]),
        ]
        if let oldest = counts.oldestSecond {
            families.append(
                .gauge("crest_recorder_oldest_timestamp_seconds", "The oldest recorded second.", Double(oldest)))
        }
        return families
    }
}
