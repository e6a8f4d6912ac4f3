package import QueryEngine
package import SpanPipeline
package import Telemetry

/// Everything the endpoints may use, handed in by the daemon or a test. No endpoint opens a file or reads a clock.
package struct EndpointContext: Sendable {
    package var sink: any SpanSink
    package var engine: QueryEngine
    package var ledger: Ledger
    package var durability: Durability
    /// The arrival time of a request and "now" of a query window: unix nanoseconds.
    package var now: @Sendable () -> UInt64
    /// Of the request's tenant, once that is known.
    package var metrics: MetricsHandlers
    /// Of tenants besides the default one; nil when those have none.
    package var tenants: MetricTenants?
    /// The recorded series behind `/prometheus`; nil when none are recorded.
    package var samples: (any SampleSource)?
    package var daemon: DaemonQuestions
    package var access = AccessControl()
    package var admission: AdmissionControl
    /// Who sent the request, for the limits on spans; nil for datagrams.
    var sender: IngestSender?
    /// Whose data is written and read.
    var tenant = BatchOrigin.defaultTenant
    package let jaegerClients = JaegerClients()
    package var datagramSources: DatagramSources
    package var shedder: LoadShedder

    package init(
        sink: any SpanSink, source: any SpanSource, ledger: Ledger, durability: Durability = .synced,
        now: @escaping @Sendable () -> UInt64, metrics: MetricsHandlers = MetricsHandlers(),
        daemon: DaemonQuestions = DaemonQuestions()
    ) {
        self.sink = sink
        self.engine = QueryEngine(source: source)
        self.ledger = ledger
        self.durability = durability
        self.now = now
        self.metrics = metrics
        self.daemon = daemon
        datagramSources = DatagramSources(since: now())
        shedder = LoadShedder(ledger: ledger)
        admission = AdmissionControl()
    }
}

/// What the endpoints ask the running daemon. Every closure but `makeSnapshot` answers at once, from any thread.
package struct DaemonQuestions: Sendable {
    /// False until recovery is done and again while stopping.
    package var isReady: @Sendable () -> Bool = { true }
    /// Why nothing can be stored until somebody or time mends it: a full or failing disk. Nil: it can.
    package var readOnlyReason: @Sendable () -> String? = { nil }
    /// Why span requests should be refused before their body is read; nil when they are welcome.
    package var overload: @Sendable () -> CommitRefusal? = { nil }
    /// Whether the store falls behind: only tenants that are not the cause of it should go on then.
    package var isStoreBehind: @Sendable () -> Bool = { false }
    /// The highest WAL sequence that is as durable as the store promises; zero before the first.
    package var durableSequence: @Sendable () -> UInt64 = { 0 }
    package var store: @Sendable () -> StoreCounts = { StoreCounts() }
    /// Deletes traces of a tenant: durable and hidden from queries when it returns. Returns how many of them were
    /// there.
    package var delete: @Sendable (_ traces: [TraceID], _ tenant: String) -> Result<Int, DeletionRefusal> = { _, _ in
        .failure(.busy("no store"))
    }
    /// Pins a trace of a tenant: durable when it returns. True when it was not pinned before.
    package var pin: @Sendable (_ trace: TraceID, _ tenant: String) -> Result<Bool, PinRefusal> = { _, _ in
        .failure(.busy("no store"))
    }
    /// Takes the pin out. True when there was one.
    package var unpin: @Sendable (_ trace: TraceID, _ tenant: String) -> Result<Bool, PinRefusal> = { _, _ in
        .failure(.busy("no store"))
    }
    /// All pinned traces of a tenant, newest pin first.
    package var pins: @Sendable (_ tenant: String) -> [PinFacts] = { _ in [] }
    package var status: @Sendable () -> DaemonStatus = { DaemonStatus() }
    /// Makes a snapshot; blocks until it is on disk.
    package var makeSnapshot: @Sendable () -> Result<SnapshotFacts, SnapshotRefusal> = {
        .failure(SnapshotRefusal("this daemon has no store"))
    }
    /// All snapshots there are, oldest first.
    package var snapshots: @Sendable () -> [SnapshotFacts] = { [] }
    /// Reads the configuration again. Nil: done. A text: what is wrong; the old configuration stays.
    package var reload: @Sendable () -> String? = { "this daemon has nothing to reload" }

    package init() {}
}

/// Why nothing was deleted.
package enum DeletionRefusal: Error, Hashable, Sendable {
    /// May work later; the text says what stands in the way.
    case busy(String)
    case failed(String)
}

/// The store's terms of the ledger, as it persists them: what became of every span stored, over all restarts.
///
///     stored = live + expired + thinned + deleted + merged + quarantined + lost
package struct StoreCounts: Hashable, Sendable {
    /// Stored by this process or an earlier one.
    package var stored: UInt64 = 0
    /// Of these, stored before this process started.
    package var storedBefore: UInt64 = 0
    package var live: UInt64 = 0
    package var expired: UInt64 = 0
    package var thinned: UInt64 = 0
    package var deleted: UInt64 = 0
    /// Repeated deliveries of a span that compaction found and dropped.
    package var merged: UInt64 = 0
    package var quarantined: UInt64 = 0
    package var lost: UInt64 = 0

    package init() {}
}

/// What `GET /api/crest/v1/status` shows besides the ledger.
package struct DaemonStatus: Sendable {
    package var version = ""
    package var startedUnixNano: UInt64 = 0
    /// Flag name and real address, or `off`, in the order of the ready line.
    package var listeners: [(name: String, address: String)] = []
    package var dataDirectory = ""
    package var segmentCount = 0
    package var segmentBytes: UInt64 = 0
    package var headSpanCount = 0
    package var headBytes: UInt64 = 0
    package var walBytes: UInt64 = 0
    /// Of segments that only snapshots hold.
    package var snapshotHeldBytes: UInt64 = 0
    /// Of those classes of which there are segments.
    package var classes: [ClassFacts] = []
    package var pinnedTraceCount = 0
    package var seriesCount = 0
    package var residentBytes: UInt64 = 0
    /// Plain sentences about what needs attention: read-only, quarantined files. Empty when all is well.
    package var warnings: [String] = []

    package init() {}
}
