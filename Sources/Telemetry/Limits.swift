/// Every limit of Crest in one place. What happens beyond each is said beside it.
package enum Limits {
    // Requests
    /// Bytes of a body, as sent and inflated; more: 413, reason `too_large`. crestd takes an eighth of its memory limit
    /// instead when that is less.
    package static let bodyBytes = 64 << 20
    /// Bytes of a request line and its headers; more: 431.
    package static let headerBytes = 64 << 10
    /// Bytes of what is read from a connection at once. Each connection keeps a buffer of this size.
    package static let connectionReadBytes = 32 << 10
    /// Bodies beyond it are not decoded on an event loop.
    package static let inlineBodyBytes = 16 << 10
    /// Bytes of chunk extensions and the like in one body, beyond 16 a chunk and twice the data; more: malformed.
    package static let chunkOverheadBytes = 16 << 10
    /// Bytes a second that a body needs to bring, looked at every so many seconds from its beginning on; less: 408, or
    /// DEADLINE_EXCEEDED for a gRPC message.
    package static let bodyBytesPerSecond = 1 << 10
    package static let bodySpeedSeconds = 5
    /// Bytes of a datagram; longer ones are cut by the kernel: dropped, reason `truncated`.
    package static let datagramBytes = 65_536
    /// Nesting of arrays and maps in attribute values and JSON; deeper: the body is malformed.
    package static let nestingDepth = 64

    // Admission
    /// Seconds that a request may wait before it is worked on; longer: 503, reason `deadline`.
    package static let ingestWaitSeconds = 2
    /// Tenants that are metered one by one; further ones share a meter.
    package static let meteredTenants = 1_024
    /// Addresses whose rates are followed one by one; further ones share their buckets.
    package static let limitedSources = 65_536
    /// Unknown tokens of one address; more: 429, reason `failed_tokens`.
    package static let failedTokensPerMinute = 10
    /// Queries that run and wait; more: 503, reason `queries`.
    package static let queriesAtOnce = 40

    // Spans: what is beyond is dropped, counted in the dropped counts, and the span is marked `truncated`.
    package static let attributesPerSpan = 1_024
    package static let eventsPerSpan = 1_024
    package static let linksPerSpan = 1_024
    package static let attributeValueBytes = 256 << 10
    /// Bytes of one span's strings; a larger span is rejected, reason `span_too_large`.
    package static let spanBytes = 4 << 20
    /// Services that one Zipkin v1 span is taken apart into; what further ones annotated goes to the first.
    package static let servicesPerZipkinSpan = 16
    /// Bytes of a span or attribute name; longer names are cut.
    package static let nameBytes = 64 << 10

    // Clients
    /// Jaeger clients whose batches are counted; beyond: those silent longest are forgotten and begin anew.
    package static let jaegerClients = 8_192
    /// Lives of Crest datagram sources that are counted; beyond: those silent longest are forgotten and join anew.
    package static let datagramSources = 4_096
    /// Sequence numbers behind the newest one of a source that are told apart; older datagrams are not taken.
    package static let datagramWindow = 1_024
    /// Bytes of a Crest datagram's payload after inflation; more: malformed.
    package static let datagramPlainBytes = 1 << 20
    /// Bytes of spans that are gathered from datagrams before they are handed to the store.
    package static let datagramBatchBytes = 1 << 20
    /// Seconds that the time of a datagram may be off when datagrams are authenticated; more: not taken.
    package static let datagramTimeSeconds: UInt64 = 300
    /// Bytes kept of a client's own name; the rest is cut.
    package static let clientNameBytes = 64

    // Metrics
    /// Series in all and of one family; beyond: the overflow series of the family.
    package static let series = 1_000_000
    package static let seriesPerFamily = 200_000
    /// Series of one source, so that one sender cannot take the room of all others; beyond: the overflow series.
    package static let seriesPerSource = 500_000
    /// Families; beyond: the families `crest_overflow*`.
    package static let metricFamilies = 20_000
    /// Overflow series with labels, of one family and in all; beyond: the family's overflow series without labels.
    package static let overflowSeriesPerFamily = 256
    package static let overflowSeries = 20_000
    /// Sources that are counted one by one; later ones are counted together.
    package static let metricSources = 10_000
    /// Seconds without an update after which a series leaves the scrape.
    package static let counterExpirySeconds: Int64 = 86_400
    package static let gaugeExpirySeconds: Int64 = 900
    package static let histogramExpirySeconds: Int64 = 21_600
    package static let setExpirySeconds: Int64 = 900
    /// Values of expired counters and gauges that are remembered; beyond: the oldest is forgotten and returns at zero.
    package static let rememberedTotals = 200_000
    /// Series whose labels one cardinality report looks at; families beyond are listed without labels.
    package static let cardinalitySeries = 200_000
    /// Label names of a family that a cardinality report tells apart; more: the rest is left out.
    package static let cardinalityLabels = 64
    /// Bytes of one StatsD line; longer: rejected, reason `line_too_long`.
    package static let lineBytes = 8_192
    /// Tags of one line; more: rejected, reason `too_many_tags`.
    package static let tagsPerLine = 64
    /// Data points of one OTLP request; those beyond: rejected, reason `too_many_points`.
    package static let pointsPerRequest = 1 << 18
    /// Attributes and buckets of one data point; more: rejected, reason `too_many_attributes`, `too_many_buckets`.
    package static let attributesPerPoint = 128
    package static let bucketsPerPoint = 1_024
    /// Labels and buckets of all series of one remote write request; the series beyond: rejected, reasons
    /// `too_many_attributes`, `too_many_buckets`. Symbols of one; more: the body is malformed.
    package static let labelsPerWrite = 1 << 21
    package static let bucketsPerWrite = 1 << 21
    package static let symbolsPerWrite = 1 << 20
    /// Seconds that a remote write sample may be ahead of the clock; more: rejected, reason `in_future`.
    package static let futureSeconds: Int64 = 600
    /// OTLP metric and remote write requests that wait for the metrics log; more: 503 with Retry-After.
    package static let pointRequestsWaiting = 256
    /// Cumulative OTLP streams and remote write series followed, and the numbers kept for them; beyond: rejected, reason
    /// `too_many_streams`; gauges of remote write are then taken in any order.
    package static let pointStreams = 200_000
    package static let pointStreamCells = 16 << 20
    /// Exemplars that one receiver takes in one second, the last of each bucket; beyond: dropped and counted.
    package static let exemplarsPerSecond = 4_096
    /// Series of the metrics made of spans; beyond: the family's overflow series of the service.
    package static let spanMetricSeries = 10_000
    /// Bytes of stored spans that wait to be made metrics of; beyond: the store's thread does it before it goes on.
    package static let spanMetricsWaitingBytes = 64 << 20
    /// The same of each other tenant than the default one, and of those together that have no engine yet; beyond: of the
    /// latter in no metric, counted.
    package static let tenantSpansWaitingBytes = 8 << 20
    /// Histograms of durations that spans may be exemplars of; beyond: further ones get none.
    package static let spanTargets = 50_000
    /// Bytes of a service or an operation as a label of these metrics; the rest is cut.
    package static let spanMetricLabelBytes = 512
    /// Exemplars kept in all, the last of each bucket; beyond: new ones are dropped and counted.
    package static let exemplars = 200_000
    /// Classic buckets that a mapping rule may ask for, without `+Inf`; more: the file is refused.
    package static let bucketsPerHistogram = 23
    /// Rules of all mapping files together; more: the file is refused.
    package static let mappingRules = 10_000
    /// Bytes of seconds in memory, at least and for each series, before a block of the recorder is closed early. At
    /// twice this, because the disk is slow, further seconds are not recorded and counted as lost.
    package static let recorderBlockBytes = 16 << 20
    package static let recorderSeriesBytes = 64
    /// Closed blocks that wait for the disk; beyond: the oldest is given up and its seconds are counted as lost.
    package static let recorderBlocksWaiting = 2
    /// Series, and values in all, that one range query returns; more: 400, asking for less.
    package static let rangeSeries = 1_000
    package static let rangeValues = 1_000_000
    /// HyperLogLog sketches alive at once, 16 KiB each; beyond: a set stays exact up to its 256th member, and members
    /// that it could not take are counted.
    package static let distinctSketches = 4_096
    /// Bytes kept of the last line rejected for each reason; the rest is cut.
    package static let rejectExampleBytes = 256

    // Store
    /// Bytes and requests of one WAL group; a larger request gets a group of its own.
    package static let groupBytes = 4 << 20
    package static let groupRequests = 512
    /// Bytes waiting for the commit thread; more: 503 with Retry-After, reason `busy`. crestd takes a share of its memory
    /// limit instead, which at 512 MiB is this.
    package static let commitQueueBytes = 64 << 20
    /// Bytes of spans in memory before they are sealed into a segment. crestd: as above.
    package static let headBytes = 48 << 20
    /// Spans of one block of a segment.
    package static let blockSpans = 8_192
    /// Distinct operations one head lists; later ones are stored and searchable, but in no service list.
    package static let catalogOperations = 100_000
    /// Heads that wait for being sealed; more: 503 with Retry-After, reason `busy`.
    package static let sealingHeads = 2

    // Load shedding; see `LoadShedder`
    /// Bytes and seconds that shed spans are kept for; beyond either they are given up, reason `shed`.
    package static let regretRingBytes = 16 << 20
    package static let regretSeconds: UInt64 = 2
    /// Slots of one of two generations of traces that are important, 8 bytes each, and how long these are remembered;
    /// when more come those marked longest are forgotten.
    package static let interestingSlots = 1 << 17
    package static let interestingSeconds: UInt64 = 300
    /// The same of traces that were taken or shed; a forgotten one is decided anew.
    package static let decisionSlots = 1 << 17
    package static let decisionSeconds: UInt64 = 10
    /// At the beginning of an overload traces are taken and only remembered, so that those under way stay whole.
    package static let shedOnsetNanoseconds: UInt64 = 1_000_000_000
    /// Spans of one OTLP body that are looked over; bodies with more are taken or refused as if nothing were overloaded.
    package static let scannedSpans = 1 << 19
    /// Services whose latencies are known; with one more all are learned anew.
    package static let latencyProfiles = 1_024
    /// Spans looked at of a batch from which latencies are learned, and spans taken between two such batches.
    package static let learnedSpans = 1_024
    package static let learnEverySpans: UInt64 = 8_192

    // Queries
    /// Traces one search may return; more asked: 400.
    package static let searchLimit = 10_000
    /// Spans one trace query returns; the rest is cut and the reply says so.
    package static let spansPerTrace = 100_000
    /// Spans of one id that readers get put together; an id that has more is left as it came.
    package static let partsPerSpan = 16
    package static let querySeconds = 11
    package static let queryBytes = 1 << 30
    /// Traces and seconds a service graph is computed from, newest first; the reply says when older ones are missing.
    package static let dependencyTraces = 20_000
    package static let dependencySeconds = 5
    /// Traces looked at for the remote names of a service, newest first.
    package static let remoteNameTraces = 1_000
    /// Ids of one request for many traces; more: 400.
    package static let tracesPerRequest = 1_000

    // PromQL
    /// Bytes of an expression; more: 400, `bad_data`.
    package static let queryTextBytes = 64 << 10
    /// Levels of an expression, operators in a row included; more: 400, `bad_data`, with the place.
    package static let queryNesting = 200
    /// Matchers of one selector, labels of one grouping, and arguments of one call; more: 400, `bad_data`.
    package static let queryMatchers = 128
    package static let queryArguments = 64
    /// Points of one series that a range query may return; more: 400, `bad_data`.
    package static let queryPoints = 11_000
    /// Samples that one query may hold, read and returned together; more: 422, `execution`.
    package static let querySamples = 10_000_000
    /// Series that one selector may find; more: 422, `execution`.
    package static let querySeries = 200_000

    // MARK: Access
    /// Tokens that a daemon knows at most.
    package static let accessTokens = 1_024
}
