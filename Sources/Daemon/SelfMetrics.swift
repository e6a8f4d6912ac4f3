internal import Endpoints
internal import Listeners
internal import SegmentStore
internal import SpanPipeline
internal import Telemetry

/// The daemon's part of the `crest_*` metrics: the store's terms of the ledger, the listeners, the build.
struct DaemonMetrics {
    var store: LedgerTerms?
    var scrub: ScrubCounts?
    var space: SpaceReport?
    var metricsLog: MetricsLogCounts?
    var recorder: RecorderCounts?
    var server: HTTPServer
    var grpc: GRPCCounts
    var datagramSources: DatagramSources
    var shedder: LoadShedder
    var udp: [(name: String, listener: any DatagramListener)]
    var streams: [(name: String, listener: LineListener)]
    var isReady: Bool

    var families: [SelfMetricFamily] {
        var families = build + connections + calls + datagrams + lineStreams
        families += datagramSources.selfMetrics + shedder.selfMetrics
        if let store { families += Self.terms(store) }
        if let scrub { families += Self.scrub(scrub) }
        if let space { families += Self.space(space) }
        if let metricsLog { families += Self.metricsLog(metricsLog) }
        if let recorder { families += Self.recorder(recorder) }
        return families
    }

    private var build: [SelfMetricFamily] {
        [
            SelfMetricFamily(
                name: "crest_build_info", isCounter: false, help: "The version of this daemon; always 1.",
                samples: [SelfMetricFamily.Sample(labels: [("version", CrestVersion.text)], value: 1)]),
            .gauge(
                "crest_ready", "1 when recovery is done, the store takes spans and the daemon is not stopping.",
                isReady ? 1 : 0),
        ]
    }

    private var connections: [SelfMetricFamily] {
        [
            .gauge("crest_http_connections", "Open HTTP connections.", Double(server.openConnections)),
            .counter(
                "crest_http_connections_accepted_total", "HTTP connections accepted.", server.connectionsAccepted),
            .counter(
                "crest_http_connections_refused_total", "HTTP connections closed because there were too many.",
                server.connectionsRefused),
            .gauge("crest_queries_in_flight", "Queries that run and wait.", Double(server.queriesInFlight)),
        ]
    }

    private var datagrams: [SelfMetricFamily] {
        let counts = udp.map { ($0.name, $0.listener.counts) }
        let buffers = counts.filter { $0.1.receiveBufferBytes > 0 }.map {
            SelfMetricFamily.Sample(labels: [("listener", $0.0)], value: Double($0.1.receiveBufferBytes))
        }
        return [
            .counters(
                "crest_datagrams_received_total", "Datagrams read from sockets.", by: "listener",
                counts.map { ($0.0, $0.1.received) }),
            .counters(
                "crest_datagrams_truncated_total", "Datagrams dropped because they were too long.", by: "listener",
                counts.map { ($0.0, $0.1.truncated) }),
            .counters(
                "crest_datagrams_dropped_by_kernel_total", "Datagrams the kernel dropped for want of buffer.",
                by: "listener", counts.map { ($0.0, $0.1.droppedByKernel) }),
            SelfMetricFamily(
                name: "crest_receive_buffer_bytes", isCounter: false,
                help: "Socket receive buffer that the kernel granted.", samples: buffers),
        ]
    }

    private static func metricsLog(_ counts: MetricsLogCounts) -> [SelfMetricFamily] {
        [
            .gauge("crest_metrics_log_bytes", "Bytes of the metrics log.", Double(counts.bytes)),
            .counter("crest_metrics_log_groups_total", "Seconds of metrics written and synced.", counts.groups),
            .counter("crest_metrics_log_checkpoints_total", "Whole states of the metrics written.", counts.checkpoints),
            .counter("crest_metrics_log_errors_total", "Writes of the metrics log that failed.", counts.errors),
        ]
    }

    private static func scrub(_ counts: ScrubCounts) -> [SelfMetricFamily] {
        [
            .gauge(
                "crest_scrub_progress_ratio", "How much of the scrub under way is read; 1: none is.", counts.progress),
            .counter("crest_scrub_bytes_total", "Bytes of segments read again to find rot.", counts.bytes),
            .counter("crest_scrub_passes_total", "Times that all segments were read again.", counts.passes),
            .counter("crest_scrub_damaged_blocks_total", "Blocks that the scrub found damaged.", counts.damagedBlocks),
            .counter(
                "crest_scrub_damaged_segments_total", "Segments that the scrub found damaged and set aside.",
                counts.damagedSegments),
            .counter("crest_scrub_errors_total", "Reads of the scrub that the medium refused.", counts.errors),
        ]
    }

    private static func terms(_ store: LedgerTerms) -> [SelfMetricFamily] {
        [
            .counter("crest_spans_stored_total", "Spans stored, over all restarts.", store.stored),
            .gauge("crest_spans_live", "Spans that can be read.", Double(store.live)),
            .counter("crest_spans_expired_total", "Spans removed by age or for room.", store.expired),
            .counter(
                "crest_spans_merged_total", "Repeated deliveries of a span, dropped by compaction.", store.merged),
            .counter("crest_spans_thinned_total", "Spans removed by thinning.", store.thinned),
            .counter("crest_spans_deleted_total", "Spans removed on request.", store.deleted),
            .counter("crest_spans_quarantined_total", "Spans in damaged files set aside.", store.quarantined),
            .counter("crest_spans_lost_total", "Acknowledged spans that are gone.", store.lost),
            .gauge("crest_head_spans", "Spans in memory, not sealed yet.", Double(store.headSpans)),
            .gauge("crest_head_bytes", "Bytes of spans in memory, not sealed yet.", Double(store.headBytes)),
            .gauge(
                "crest_heads_sealing", "Full heads that wait to be sealed; two close the door.",
                Double(store.sealingHeads)),
            .gauge("crest_commit_queue_bytes", "Bytes waiting for the commit thread.", Double(store.queueBytes)),
            .gauge("crest_segments", "Sealed segments.", Double(store.segmentCount)),
            .gauge("crest_segment_bytes", "Bytes of sealed segments.", Double(store.segmentBytes)),
            .gauge("crest_wal_bytes", "Bytes of the write-ahead log.", Double(store.walBytes)),
        ]
    }
}
