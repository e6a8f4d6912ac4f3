package import Synchronization

/// Why a span was refused. The raw value is the `reason` label of `crest_spans_rejected_total`.
package enum SpanRejection: String, CaseIterable, Sendable {
    case zeroTraceID = "zero_trace_id"
    case zeroSpanID = "zero_span_id"
    case badIDLength = "bad_id_length"
    case spanTooLarge = "span_too_large"
    case malformed
    case busy
    /// Beyond what the tenant or the address may send a second.
    case rate
    case readOnly = "read_only"
    /// Given up under load; see ``SpanClass``.
    case shed
}

/// Why a whole request was refused. The raw value is the `reason` label of `crest_requests_rejected_total`.
package enum RequestRejection: String, CaseIterable, Sendable {
    case malformed
    case tooLarge = "too_large"
    case mediaType = "media_type"
    case encoding
    case method
    case notFound = "not_found"
    /// No token, or one that is not known.
    case unauthenticated
    /// The token may not do this.
    case forbidden
    /// Sent to a name that is not ours.
    case host
    case parameter
    case timeout
    case busy
    /// What requests hold fills the memory budget.
    case memory
    /// Other tenants wait, and this one holds its share.
    case share
    /// Beyond what the tenant may send a second.
    case tenantRate = "tenant_rate"
    /// Beyond what an address without a token may send a second.
    case sourceRate = "source_rate"
    /// Waited too long before it could be worked on.
    case deadline
    /// As many queries run and wait as may.
    case queries
    /// Unknown tokens come from this address too often.
    case failedTokens = "failed_tokens"
    /// As many tenants have metrics as may.
    case metricTenants = "metric_tenants"
    case readOnly = "read_only"
}

/// Why a metric line was refused. The raw value is the `reason` label of `crest_lines_rejected_total`.
package enum LineRejection: String, CaseIterable, Sendable {
    case noColon = "no_colon"
    case noType = "no_type"
    case emptyName = "empty_name"
    case badValue = "bad_value"
    case badType = "bad_type"
    case badRate = "bad_rate"
    case badTag = "bad_tag"
    case notANumber = "nan"
    case negativeCounter = "negative_counter"
    case badUTF8 = "bad_utf8"
    case lineTooLong = "line_too_long"
    case tooManyTags = "too_many_tags"
    /// A rule of the operator says that such lines are dropped.
    case droppedByRule = "dropped_by_rule"
    case unsupported
}

/// Why a datagram that should bring spans was refused. The raw value is the `reason` label of
/// `crest_span_datagrams_rejected_total`.
package enum SpanDatagramRejection: String, CaseIterable, Sendable {
    case malformed
    /// Neither of the calls that bring spans.
    case unknownMessage = "unknown_message"
}

/// Where a Jaeger client says that it dropped spans. The raw value is the `cause` label of
/// `crest_jaeger_client_spans_dropped_total`.
package enum JaegerClientDrop: String, CaseIterable, Sendable {
    case fullQueue = "full_queue"
    case tooLarge = "too_large"
    case failedToEmit = "failed_to_emit"
}

/// A row of counters, one for each case of `Reason`.
package struct ReasonCounters<Reason: CaseIterable & RawRepresentable<String> & Sendable & Equatable>: ~Copyable,
    Sendable
where Reason.AllCases: Sendable {
    private let cells: [Cell]

    private final class Cell: Sendable {
        let value = Atomic<UInt64>(0)
    }

    package init() { cells = Reason.allCases.map { _ in Cell() } }

    package func add(_ count: UInt64, _ reason: Reason) {
        for (index, candidate) in Reason.allCases.enumerated() where candidate == reason {
            cells[index].value.add(count, ordering: .relaxed)
        }
    }

    package var total: UInt64 { cells.reduce(0) { $0 &+ $1.value.load(ordering: .relaxed) } }

    /// Every reason with its count, in the order of the enum.
    package var counts: [(reason: Reason, count: UInt64)] {
        zip(Reason.allCases, cells).map { ($0, $1.value.load(ordering: .relaxed)) }
    }
}

/// The counters behind `/api/crest/v1/ledger` and the `crest_*` metrics: what came in and what became of it.
///
///     spans:     received = stored + duplicate + rejected{reason} + in flight
///                stored   = live + expired + thinned + deleted + merged + quarantined + lost
///     lines:     seen     = applied + rejected{reason}
///     points:    seen     = applied + rejected{reason}
///     datagrams: received = handled + truncated + ring dropped
///
/// `stored` and what follows it belong to the store, which persists them; this type holds what the receiving side
/// counts. Every term only grows, but for `spansInFlight`.
package final class Ledger: Sendable {
    package let spansReceived = Atomic<UInt64>(0)
    package let spansAcknowledged = Atomic<UInt64>(0)
    package let spansDuplicate = Atomic<UInt64>(0)
    package let spansInFlight = Atomic<Int64>(0)
    package let spansTruncated = Atomic<UInt64>(0)
    /// Spans with a text that was no UTF-8.
    package let spansRepaired = Atomic<UInt64>(0)
    package let spansRejected = ReasonCounters<SpanRejection>()
    /// Shed when they came. Those still in the regret ring are in flight, the others rescued or rejected as shed.
    package let spansShed = ReasonCounters<SpanClass>()
    /// Shed at first and then stored.
    package let spansRescued = Atomic<UInt64>(0)

    package let requestsReceived = Atomic<UInt64>(0)
    package let requestsRejected = ReasonCounters<RequestRejection>()

    package let datagramsReceived = Atomic<UInt64>(0)
    package let datagramsHandled = Atomic<UInt64>(0)
    package let datagramsTruncated = Atomic<UInt64>(0)
    package let datagramsDroppedByKernel = Atomic<UInt64>(0)

    /// Of the handled ones.
    package let spanDatagramsRejected = ReasonCounters<SpanDatagramRejection>()

    /// Batches of Jaeger clients that count them; those missing in the count; those that came after a later one or
    /// again.
    package let jaegerBatches = Atomic<UInt64>(0)
    package let jaegerBatchesMissing = Atomic<UInt64>(0)
    package let jaegerBatchesLate = Atomic<UInt64>(0)
    package let jaegerClientsForgotten = Atomic<UInt64>(0)
    /// Spans that Jaeger clients say they never sent.
    package let jaegerClientDrops = ReasonCounters<JaegerClientDrop>()

    package let linesSeen = Atomic<UInt64>(0)
    package let linesApplied = Atomic<UInt64>(0)
    package let linesRejected = ReasonCounters<LineRejection>()
    /// OTLP data points, remote write samples and histograms.
    package let pointsSeen = Atomic<UInt64>(0)
    package let pointsApplied = Atomic<UInt64>(0)
    package let pointsRejected = ReasonCounters<PointRejection>()
    /// Remote write samples that ended their series.
    package let staleMarkers = Atomic<UInt64>(0)
    /// Lines of earlier processes that were taken and not yet in the metrics log when those were killed.
    package let linesLostAtCrash = Atomic<UInt64>(0)
    /// Samples that found a window ring full; zero unless the engine stands still.
    package let windowsDropped = Atomic<UInt64>(0)

    package init() {}
}
