internal import Telemetry

/// One metrics log file, read group by group, so that a long one needs no more memory than its largest group.
struct MetricsLogReader {
    enum Ending: Hashable {
        /// Every byte belongs to a valid group.
        case whole
        /// Bytes at the end belong to none, as after a crash.
        case torn
        /// A valid group header follows later.
        case corrupt
    }

    let header: MetricsLogHeader
    private let file: any DiskFile
    private let size: UInt64
    /// Behind the last valid group.
    private(set) var offset = UInt64(MetricsLogFormat.headerBytes)
    private var nextIndex: UInt64 = 0
    /// The last valid group.
    private(set) var last: MetricsLogGroup?

    /// Nil when the file has no valid header.
    init?(_ file: any DiskFile) throws(DiskError) {
        size = try file.size()
        guard size >= UInt64(MetricsLogFormat.headerBytes) else { return nil }
        guard let header = MetricsLogHeader(try file.read(at: 0, count: MetricsLogFormat.headerBytes)) else {
            return nil
        }
        self.header = header
        self.file = file
    }

    /// The records of the next group; nil behind the last valid one.
    mutating func next() throws(DiskError) -> [MetricsLogRecord]? {
        guard let group = try groupHeader(at: offset), group.index == nextIndex else { return nil }
        let start = offset &+ UInt64(MetricsLogFormat.groupHeaderBytes)
        let bytes = Int(group.payloadBytes)
        guard UInt64(bytes) <= size &- start else { return nil }
        guard let records = group.records(try file.read(at: start, count: bytes)) else { return nil }
        offset = min(start &+ UInt64(bytes &+ MetricsLogFormat.padding(after: bytes)), size)
        nextIndex &+= 1
        last = group
        return records
    }

    private func groupHeader(at offset: UInt64) throws(DiskError) -> MetricsLogGroup? {
        guard size &- offset >= UInt64(MetricsLogFormat.groupHeaderBytes) else { return nil }
        let bytes = try file.read(at: offset, count: MetricsLogFormat.groupHeaderBytes)
        return MetricsLogGroup(bytes, salt: header.salt)
    }

    /// What is behind the last valid group. Call when ``next()`` gave nil.
    func ending() throws(DiskError) -> Ending {
        if offset == size { return .whole }
        let chunkBytes: UInt64 = 1 << 20
        let overlap = UInt64(MetricsLogFormat.groupHeaderBytes)
        var start = offset &+ 8
        while start < size, size &- start >= overlap {
            let chunk = try file.read(at: start, count: Int(min(chunkBytes, size &- start)))
            var position = 0
            while position + MetricsLogFormat.groupHeaderBytes <= chunk.count {
                let bytes = chunk[position..<position + MetricsLogFormat.groupHeaderBytes]
                if bytes.first == 0x43, let group = MetricsLogGroup(Array(bytes), salt: header.salt),
                    group.index > nextIndex
                {
                    return .corrupt
                }
                position += 8
            }
            if UInt64(chunk.count) < chunkBytes { break }
            start &+= chunkBytes &- 64
        }
        return .torn
    }
}
