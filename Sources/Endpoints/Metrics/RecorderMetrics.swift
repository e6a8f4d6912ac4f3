internal import MetricsEngine
internal import Telemetry

extension MetricsEngine {
    /// What the recorder has taken and what it has not written yet.
    var recorderMetrics: [SelfMetricFamily] {
        let counts = recordingCounts
        return [
            .counter("crest_recorder_windows_total", "Closed seconds of receivers recorded.", counts.windows),
            .counter(
                "crest_recorder_windows_lost_total",
                "Closed seconds of receivers not recorded because the disk is too slow.", counts.lostWindows),
            .gauge("crest_recorder_open_bytes", "Recorded seconds in memory.", Double(counts.openBytes)),
        ]
    }
}
