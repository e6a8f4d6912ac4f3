internal import Telemetry

/// The metrics log file that is growing. After any throw it must not be used again.
struct MetricsLogFile {
    let header: MetricsLogHeader
    let path: String
    private let file: any DiskFile
    private(set) var byteCount: UInt64
    private(set) var checkpointBytes: UInt64 = 0
    private var nextIndex: UInt64 = 0

    /// Makes the file with the whole state of `source`, durable with its name.
    /// - Parameter mark: wall, lines and lost at this moment.
    static func create(
        _ header: MetricsLogHeader, on disk: any Disk, state source: any MetricsLogSource, mark: MetricsLogGroup
    ) throws(DiskError) -> MetricsLogFile {
        let path = StorePath.metricsLog(number: header.number)
        let draft = path + StorePath.draftSuffix
        let file = try disk.createDraft(draft)
        try file.append(header.encoded())
        var made = MetricsLogFile(
            header: header, path: path, file: file, byteCount: UInt64(MetricsLogFormat.headerBytes))
        try made.writeState(of: source, mark)
        try file.syncData()
        try disk.rename(draft, to: path)
        try disk.syncDirectory(StorePath.metricsDirectory)
        made.checkpointBytes = made.byteCount
        return made
    }

    private init(header: MetricsLogHeader, path: String, file: any DiskFile, byteCount: UInt64) {
        self.header = header
        self.path = path
        self.file = file
        self.byteCount = byteCount
    }

    private mutating func writeState(
        of source: any MetricsLogSource, _ mark: MetricsLogGroup
    ) throws(DiskError) {
        var failure: DiskError?
        var gathered: [MetricsLogRecord] = []
        var bytes = 0
        source.forEachStateRecord { record in
            gathered.append(record)
            bytes += record.body.count
            guard bytes >= MetricsLogFormat.gatherBytes else { return true }
            do throws(DiskError) { try append(gathered, mark) } catch { failure = error }
            gathered = []
            bytes = 0
            return failure == nil
        }
        if let failure { throw failure }
        try append(gathered + [MetricsLogRecord(kind: .checkpointEnd, body: [])], mark)
    }

    /// Appends the records as one group or a few. Not synced yet.
    mutating func append(_ records: [MetricsLogRecord], _ mark: MetricsLogGroup) throws(DiskError) {
        var first = 0
        while first < records.count {
            var end = first
            var bytes = 0
            while end < records.count, end == first || bytes + records[end].body.count < MetricsLogFormat.gatherBytes {
                bytes += records[end].body.count
                end += 1
            }
            try appendGroup(Array(records[first..<end]), mark)
            first = end
        }
    }

    private mutating func appendGroup(_ records: [MetricsLogRecord], _ mark: MetricsLogGroup) throws(DiskError) {
        var group = mark
        group.index = nextIndex
        guard let bytes = MetricsLogGroup.encoded(records, group, salt: header.salt) else {
            throw DiskError(call: .append, path: path, code: 27)
        }
        try file.append(bytes)
        byteCount += UInt64(bytes.count)
        nextIndex += 1
    }

    func sync() throws(DiskError) { try file.syncData() }
    func close() { file.close() }
}
