/// One record of the metrics log: written by the metrics engine, kept unread by the store.
///
/// Source: schemas/disk/metrics-log.md, "Records".
package struct MetricsLogRecord: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case families = 1
        case series = 2
        /// What one receiver gathered in one second, as changes.
        case second = 3
        /// Totals, in a checkpoint.
        case state = 4
        case starts = 5
        /// The store's own mark; no engine sees it.
        case checkpointEnd = 6
        /// Series whose numbers are free from here on.
        case removed = 7
        /// New series under numbers that were free.
        case reused = 8
        /// When series were last updated, in a checkpoint.
        case updates = 9
        /// Values of removed series that go on when those return, in a checkpoint.
        case remembered = 10
        /// What one request brought, as changes, and the last points of its cumulative streams.
        case points = 11
        /// The last points of all cumulative streams, in a checkpoint.
        case streams = 12
        /// Expiry times that rules have set for series.
        case lifetimes = 13
    }

    package var kind: Kind
    package var body: [UInt8]

    package init(kind: Kind, body: [UInt8]) {
        self.kind = kind
        self.body = body
    }
}

/// What closed since the last time, on its way to the log.
package struct MetricsLogBatch: Sendable {
    /// In an order in which they can be restored.
    package var records: [MetricsLogRecord]
    /// Metric lines and data points behind them.
    package var lines: UInt64

    package init(records: [MetricsLogRecord] = [], lines: UInt64 = 0) {
        self.records = records
        self.lines = lines
    }
}

/// Where the metrics log gets its records, and where they go at a start. Called by the log's thread alone.
package protocol MetricsLogSource: Sendable {
    /// From now on nothing is shown before it was settled.
    func holdForLog()
    /// What closed and was not taken yet. It stays hidden from scrapes until ``settle()``.
    func takeClosed() -> MetricsLogBatch
    /// Shows what was taken.
    func settle()
    /// Hands out the whole settled state, in pieces that can be restored in their order, until `body` says false.
    func forEachStateRecord(_ body: (MetricsLogRecord) -> Bool)
    /// Takes a record back at a start.
    /// - Returns: false when it does not fit what was restored before; nothing of it is used then.
    func restore(_ record: MetricsLogRecord) -> Bool
}
