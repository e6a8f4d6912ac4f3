internal import Telemetry

/// What a start found of the metrics.
package struct MetricsLogReport: Hashable, Sendable {
    /// Groups restored; 0 for a new directory.
    package var groups = 0
    package var bytes: UInt64 = 0
    /// Lines lost at the crash before this start.
    package var lostLines: UInt64 = 0
    package var problems: [String] = []
}

/// Brings the metric state back from the newest usable file. Changes nothing but quarantine.
struct MetricsLogRecovery {
    let disk: any Disk
    let source: any MetricsLogSource
    let recorder: (any RecorderSource)?
    private(set) var report = MetricsLogReport()
    /// Numbers of the files there are, ascending.
    private(set) var numbers: [UInt64] = []
    /// The last valid group of the file that was used, and the life that wrote it.
    private(set) var last: (group: MetricsLogGroup, life: UInt64)?

    init(disk: any Disk, source: any MetricsLogSource, recorder: (any RecorderSource)? = nil) {
        self.disk = disk
        self.source = source
        self.recorder = recorder
    }

    mutating func run() throws(DiskError) {
        for entry in try disk.list(StorePath.metricsDirectory) where entry.isRegularFile {
            if let number = StorePath.number(ofMetricsLog: entry.name) { numbers.append(number) }
        }
        numbers.sort()
        for number in numbers.reversed() {
            let path = StorePath.metricsLog(number: number)
            if try isUsable(path) { return try replay(path) }
            report.problems.append("\(path) has no whole checkpoint and is not used")
            try keep(path)
        }
    }

    /// Whether the checkpoint is whole: nothing may be restored from one that is not.
    private func isUsable(_ path: String) throws(DiskError) -> Bool {
        let file = try disk.open(path)
        defer { file.close() }
        guard var reader = try MetricsLogReader(file) else { return false }
        while let records = try reader.next() {
            if records.contains(where: { $0.kind == .checkpointEnd }) { return true }
        }
        return false
    }

    private mutating func replay(_ path: String) throws(DiskError) {
        let file = try disk.open(path)
        defer { file.close() }
        guard var reader = try MetricsLogReader(file) else { return }
        report.bytes = try file.size()
        recorder?.beginLog(reader.header.salt, isRestoring: true)
        var unusable = 0
        while let records = try reader.next() {
            for record in records where !source.restore(record) { unusable += 1 }
            report.groups += 1
        }
        if let group = reader.last { last = (group, reader.header.life) }
        if unusable > 0 { report.problems.append("\(path): \(unusable) records do not fit and were left out") }
        if try reader.ending() == .corrupt {
            report.problems.append("\(path) is damaged after group \(reader.last?.index ?? 0); later seconds are lost")
            try keep(path)
        }
    }

    /// Gives a damaged file a second name that stays.
    private func keep(_ path: String) throws(DiskError) {
        let name = String(path.split(separator: "/").last ?? "")
        do { try disk.link(path, to: StorePath.quarantine(name)) } catch {
            if !error.isThere { throw error }
        }
        try disk.syncDirectory(StorePath.quarantineDirectory)
    }
}
