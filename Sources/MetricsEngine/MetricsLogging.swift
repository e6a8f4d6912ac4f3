internal import Bytes
internal import Synchronization
package import Telemetry

/// Seconds that were taken for the log and are not shown yet, and how much the log knows of the registry.
struct LogQueue: ~Copyable {
    var windows: [ClosedWindow] = []
    var families = 0
    var series = 0
}

/// With a log, a closed second goes first to the log and then into the totals; see schemas/disk/metrics-log.md.
///
/// `takeClosed`, `settle`, `forEachStateRecord` and `restore` belong to one thread.
extension MetricsEngine: MetricsLogSource {
    /// Bytes and series after which a record ends.
    private static let recordBytes = 1 << 20
    private static let recordSeries = 8_192

    /// Whether closed seconds go to a log before they are shown.
    package var isLogged: Bool { isHeld.load(ordering: .acquiring) }

    package func holdForLog() { isHeld.store(true, ordering: .releasing) }

    package func takeClosed() -> MetricsLogBatch {
        let windows = takeWindows()
        guard !windows.isEmpty else { return MetricsLogBatch() }
        let known = logging.withLock { queue in
            queue.windows += windows
            return (queue.families, queue.series)
        }
        var batch = MetricsLogBatch()
        // After the windows: whatever series they name was registered before they were closed.
        let logged = forEachDefinition(from: known) { record in
            batch.records.append(record)
            return true
        }
        logging.withLock { ($0.families, $0.series) = logged }
        for window in windows {
            batch.records.append(MetricsLogRecord(kind: .second, body: WindowCodec.encode(window)))
            batch.lines &+= window.lines
        }
        return batch
    }

    package func settle() {
        let windows = logging.withLock { queue in
            defer { queue.windows = [] }
            return queue.windows
        }
        guard !windows.isEmpty else { return }
        store.withLock { store in
            adoptRegistered(&store)
            for window in windows { store.merge(window) }
        }
    }

    package func forEachStateRecord(_ body: (MetricsLogRecord) -> Bool) {
        var goesOn = true
        let logged = forEachDefinition(from: (0, 0)) { record in
            goesOn = goesOn && body(record)
            return goesOn
        }
        logging.withLock { ($0.families, $0.series) = logged }
        var first = 0
        while goesOn, first < logged.series {
            // In steps, so that a scrape waits for one step at most. Only this thread changes totals.
            let records = store.withLock { store in
                let range = first..<min(first + Self.recordSeries, store.seriesCount)
                return range.isEmpty ? [] : Self.records(of: range, store)
            }
            if records.isEmpty { break }
            for record in records where goesOn { goesOn = body(record) }
            first += Self.recordSeries
        }
    }

    private static func records(of range: Range<Int>, _ store: borrowing MetricsStore) -> [MetricsLogRecord] {
        var starts = ByteWriter()
        starts.writeVarint(UInt64(range.lowerBound))
        starts.writeVarint(UInt64(range.count))
        for index in range { starts.writeVarint(zigzagEncoded(store.starts[index])) }
        return [
            MetricsLogRecord(kind: .starts, body: starts.bytes),
            MetricsLogRecord(kind: .state, body: WindowCodec.encode(store.state(of: range))),
        ]
    }

    /// Hands out the families and series from `known` on.
    /// - Returns: how many there are now.
    private func forEachDefinition(
        from known: (families: Int, series: Int), _ body: (MetricsLogRecord) -> Bool
    ) -> (families: Int, series: Int) {
        let (families, keyNames, series) = registry.withLock { registry in
            (
                Array(registry.families[known.families...]), Array(registry.keyNames[known.families...]),
                Array(registry.series[known.series...])
            )
        }
        let logged = (known.families + families.count, known.series + series.count)
        if !families.isEmpty {
            let record = DefinitionCodec.encode(families, keyNames: keyNames, base: known.families)
            guard body(record) else { return logged }
        }
        var first = 0
        while first < series.count {
            var end = first
            var bytes = 0
            while end < series.count, end - first < Self.recordSeries, bytes < Self.recordBytes {
                bytes += series[end].labels.count + 8
                end += 1
            }
            guard body(DefinitionCodec.encode(series[first..<end], base: known.series + first)) else { return logged }
            first = end
        }
        return logged
    }

    package func restore(_ record: MetricsLogRecord) -> Bool {
        switch record.kind {
        case .families: return DefinitionCodec.restoreFamilies(record.body, registry)
        case .series:
            guard DefinitionCodec.restoreSeries(record.body, registry) else { return false }
            store.withLock { adoptRegistered(&$0) }
            return true
        case .second, .state:
            return store.withLock { store in
                guard let window = WindowCodec.decode(record.body, for: store) else { return false }
                store.merge(window, isState: record.kind == .state)
                return true
            }
        case .starts:
            guard let (base, seconds) = DefinitionCodec.decodeStarts(record.body) else { return false }
            store.withLock { $0.restoreStarts(seconds, from: base) }
            return true
        case .checkpointEnd: return true
        }
    }
}
