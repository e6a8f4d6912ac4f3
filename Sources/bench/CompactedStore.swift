internal import Glibc
internal import HostIO
internal import SegmentStore

/// The data directory of a stopped daemon after every merge that more segments would have brought.
struct CompactedStore {
    /// Of this process, for the merges alone.
    let cpuSeconds: Double
    let byteCount: Int
    let segments: Int
    /// Of all segments, the largest first.
    let columns: [ColumnFacts]

    /// Merges up to eight segments at a time, as the daemon does, until there is nothing to merge.
    init(_ folder: String) throws {
        let disk = try HostDisk(folder)
        var configuration = StoreConfiguration(wallClock: wallClock)
        configuration.runsThreads = false
        configuration.reservedBytes = 0
        configuration.compaction.bytesPerSecond = 0
        let found = try DirectoryFacts(disk, readsColumns: false).segments.count
        configuration.compaction.fanIn = max(2, min(found, configuration.compaction.fanIn))
        let store = try SegmentStore.open(disk, configuration: configuration)
        let began = threadSeconds()
        while store.compactStep() {}
        cpuSeconds = threadSeconds() - began
        guard store.close() else { throw ReplayFailure(text: "the compacted store did not close") }
        byteCount = storedBytes(folder)
        let facts = try DirectoryFacts(disk, readsColumns: true)
        segments = facts.segments.count
        columns = facts.columns
    }

    /// One line more: where the bytes of a span go, and what each column would need.
    func reportColumns(spans: Int) {
        var report = Report("ingest_columns")
        var floor = 0.0
        for column in columns {
            let name = String(column.name.map { $0 == "\"" || $0 == "\\" ? "_" : $0 })
            report.add("\(name) bytes", Double(column.bytes) / Double(max(1, spans)))
            guard let own = column.floor else { continue }
            report.add("\(name) floor", own / Double(max(1, spans)))
            floor += own
        }
        report.add("all_columns_bytes", Double(columns.reduce(0) { $0 + $1.bytes }) / Double(max(1, spans)))
        report.add("all_columns_floor", floor / Double(max(1, spans)))
        report.print()
    }
}

/// User and system seconds of the calling thread.
private func threadSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
