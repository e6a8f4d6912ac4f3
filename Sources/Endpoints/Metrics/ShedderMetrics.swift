package import SpanPipeline

extension LoadShedder {
    package var selfMetrics: [SelfMetricFamily] {
        [
            .gauge(
                "crest_admission_level", "How much of sheddable spans is taken: 256 all, 128 no p3, 0 only p1.",
                Double(level)),
            .gauge("crest_regret_ring_bytes", "Bytes kept of what was shed lately.", Double(ringBytes)),
        ]
    }
}
