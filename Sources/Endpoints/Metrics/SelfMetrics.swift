internal import MetricsEngine
internal import Synchronization
package import Telemetry

/// One of Crest's own families on `/metrics`.
package struct SelfMetricFamily: Sendable {
    package struct Sample: Sendable {
        package var labels: [(name: String, value: String)]
        package var value: Double

        package init(labels: [(name: String, value: String)] = [], value: Double) {
            self.labels = labels
            self.value = value
        }
    }

    /// Complete, with `_total` when it is a counter.
    package var name: String
    package var isCounter: Bool
    package var help: String
    package var samples: [Sample]

    package init(name: String, isCounter: Bool, help: String, samples: [Sample]) {
        self.name = name
        self.isCounter = isCounter
        self.help = help
        self.samples = samples
    }

    package static func counter(_ name: String, _ help: String, _ value: UInt64) -> SelfMetricFamily {
        SelfMetricFamily(name: name, isCounter: true, help: help, samples: [Sample(value: Double(value))])
    }

    package static func gauge(_ name: String, _ help: String, _ value: Double) -> SelfMetricFamily {
        SelfMetricFamily(name: name, isCounter: false, help: help, samples: [Sample(value: value)])
    }

    /// A counter with one sample for each value of a label.
    package static func counters(
        _ name: String, _ help: String, by label: String, _ values: [(String, UInt64)]
    ) -> SelfMetricFamily {
        let samples = values.map { Sample(labels: [(label, $0.0)], value: Double($0.1)) }
        return SelfMetricFamily(name: name, isCounter: true, help: help, samples: samples)
    }
}

extension Ledger {
    /// The terms of the ledger that the receiving side counts.
    package var selfMetrics: [SelfMetricFamily] {
        [
            .counter("crest_spans_received_total", "Spans received.", spansReceived.load(ordering: .relaxed)),
            .counter(
                "crest_spans_acknowledged_total", "Spans acknowledged to their sender.",
                spansAcknowledged.load(ordering: .relaxed)),
            .counter(
                "crest_spans_duplicate_total", "Spans received again and stored once.",
                spansDuplicate.load(ordering: .relaxed)),
            .counters(
                "crest_spans_rejected_total", "Spans refused, by reason.", by: "reason",
                spansRejected.counts.map { ($0.reason.rawValue, $0.count) }),
            .gauge(
                "crest_spans_in_flight", "Spans received and not yet stored.",
                Double(spansInFlight.load(ordering: .relaxed))),
            .counter(
                "crest_spans_truncated_total", "Spans stored without what was beyond a limit.",
                spansTruncated.load(ordering: .relaxed)),
            .counter(
                "crest_spans_repaired_total", "Spans stored with U+FFFD in place of bytes that were no UTF-8.",
                spansRepaired.load(ordering: .relaxed)),
            .counter(
                "crest_requests_received_total", "HTTP requests that carried telemetry.",
                requestsReceived.load(ordering: .relaxed)),
            .counters(
                "crest_requests_rejected_total", "HTTP requests refused as a whole, by reason.", by: "reason",
                requestsRejected.counts.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_datagrams_received_total", "Datagrams read from sockets.",
                datagramsReceived.load(ordering: .relaxed)),
            .counter(
                "crest_datagrams_handled_total", "Datagrams decoded.", datagramsHandled.load(ordering: .relaxed)),
            .counter(
                "crest_datagrams_truncated_total", "Datagrams dropped because they were too long.",
                datagramsTruncated.load(ordering: .relaxed)),
            .counter(
                "crest_datagrams_dropped_by_kernel_total", "Datagrams the kernel dropped for want of buffer.",
                datagramsDroppedByKernel.load(ordering: .relaxed)),
            .counters(
                "crest_span_datagrams_rejected_total", "Datagrams that should bring spans and were refused.",
                by: "reason", spanDatagramsRejected.counts.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_jaeger_batches_total", "Batches of Jaeger clients that number them.",
                jaegerBatches.load(ordering: .relaxed)),
            .counter(
                "crest_jaeger_batches_missing_total", "Numbers left out by the batches of a Jaeger client.",
                jaegerBatchesMissing.load(ordering: .relaxed)),
            .counter(
                "crest_jaeger_batches_late_total", "Batches of a Jaeger client behind a later one, or repeated.",
                jaegerBatchesLate.load(ordering: .relaxed)),
            .counters(
                "crest_jaeger_client_spans_dropped_total", "Spans that Jaeger clients say they dropped.", by: "cause",
                jaegerClientDrops.counts.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_jaeger_clients_forgotten_total", "Jaeger clients no longer followed, to make room.",
                jaegerClientsForgotten.load(ordering: .relaxed)),
            .counter("crest_lines_seen_total", "Metric lines seen.", linesSeen.load(ordering: .relaxed)),
            .counter("crest_lines_applied_total", "Metric lines applied.", linesApplied.load(ordering: .relaxed)),
            .counters(
                "crest_lines_rejected_total", "Metric lines refused, by reason.", by: "reason",
                linesRejected.counts.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_points_seen_total", "OTLP points, remote write samples and histograms seen.",
                pointsSeen.load(ordering: .relaxed)),
            .counter(
                "crest_points_applied_total", "Of these, applied.", pointsApplied.load(ordering: .relaxed)),
            .counters(
                "crest_points_rejected_total", "Of these, refused or repeated, by reason.", by: "reason",
                pointsRejected.counts.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_remote_write_stale_markers_total", "Remote write samples that ended their series.",
                staleMarkers.load(ordering: .relaxed)),
            .counter(
                "crest_lines_lost_at_crash_total",
                "Metric lines taken and not yet logged at a crash, over all restarts.",
                linesLostAtCrash.load(ordering: .relaxed)),
            .counter(
                "crest_windows_dropped_total", "Seconds of metrics lost between receiver and engine.",
                windowsDropped.load(ordering: .relaxed)),
        ]
    }
}

extension LineCounters {
    var selfMetrics: [SelfMetricFamily] {
        [
            .counter("crest_statsd_events_total", "DogStatsD events accepted.", events.load(ordering: .relaxed)),
            .counter(
                "crest_statsd_service_checks_total", "DogStatsD service checks accepted.",
                serviceChecks.load(ordering: .relaxed)),
            .counters(
                "crest_statsd_skipped_fields_total", "Fields of metric lines that were skipped.", by: "kind",
                [
                    ("container", containerFields.load(ordering: .relaxed)),
                    ("external_data", externalDataFields.load(ordering: .relaxed)),
                    ("cardinality", cardinalityFields.load(ordering: .relaxed)),
                    ("unknown", unknownFields.load(ordering: .relaxed)),
                ]),
            .counter(
                "crest_statsd_explicit_timestamps_total", "Metric lines with a time of their own, applied as of now.",
                explicitTimestamps.load(ordering: .relaxed)),
            .counter(
                "crest_statsd_ignored_rates_total", "Sample rates on gauges and sets.",
                ignoredRates.load(ordering: .relaxed)),
            .counters(
                "crest_statsd_signed_gauges_total", "Gauges with an explicit sign, by how they were read.",
                by: "policy",
                [
                    ("change", signedGaugeChanges.load(ordering: .relaxed)),
                    ("level", signedGaugeLevels.load(ordering: .relaxed)),
                ]),
            .counter(
                "crest_key_cache_resets_total", "Times a receiver's key cache was full and started anew.",
                keyCacheResets.load(ordering: .relaxed)),
            .counter(
                "crest_windows_deferred_total", "Seconds of metrics handed to the engine late.",
                deferredWindows.load(ordering: .relaxed)),
        ]
    }
}

extension MetricsEngine {
    var selfMetrics: [SelfMetricFamily] {
        let counts = seriesCounts
        let exemplars = exemplarCounts
        let expiry = expiryCounts
        return [
            .gauge("crest_exemplars", "Exemplars held.", Double(exemplars.held)),
            .counter("crest_exemplars_dropped_total", "Exemplars that found no room.", exemplars.dropped),
            .gauge("crest_point_streams", "Cumulative OTLP streams followed.", Double(pointStreamCount)),
            .gauge("crest_series", "Metric series held.", Double(counts.series)),
            .gauge("crest_series_limit", "Metric series that may be held.", Double(limits.series)),
            .gauge("crest_metric_families", "Metric families held.", Double(counts.families)),
            .counters(
                "crest_series_overflowed_total", "Keys sent to an overflow series, by the limit they met.",
                by: "limit",
                [
                    ("total", counts.overflowed.total), ("family", counts.overflowed.family),
                    ("source", counts.overflowed.source), ("families", counts.overflowed.families),
                ]),
            .counter("crest_series_expired_total", "Series that left the scrape for want of updates.", expiry.expired),
            .counter(
                "crest_series_returned_total", "Expired series that were updated again in time.", expiry.returned),
            .counter(
                "crest_series_removed_total", "Expired series whose memory was given to others.", expiry.removed),
            .gauge(
                "crest_series_remembered", "Values of removed counters and gauges that would go on.",
                Double(expiry.remembered)),
            .counter(
                "crest_series_forgotten_total", "Values of removed series dropped for want of room.",
                expiry.forgotten),
            .counter(
                "crest_type_conflicts_total", "Families renamed because another type has their name.",
                counts.typeConflicts),
            .counter(
                "crest_name_collisions_total", "Different names as sent that became one family.",
                counts.nameCollisions),
            .gauge(
                "crest_distinct_sketches", "Sketches of sets with more than 256 members in a second.",
                Double(distinctSketches)),
            .counter(
                "crest_distinct_members_untaken_total",
                "Members beyond a set's 256th that were left out because there were too many sketches.",
                untakenMembers),
            .counter("crest_duplicate_labels_total", "Labels that repeated a name.", counts.duplicateLabels),
            .counter(
                "crest_live_windows_evicted_total", "Seconds of live histograms dropped for want of memory.",
                evictedLiveWindows),
        ]
    }
}
