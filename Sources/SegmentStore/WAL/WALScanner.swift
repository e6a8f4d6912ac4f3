internal import Bytes

/// One record found in a WAL file.
struct WALFoundRecord {
    let header: WALRecordHeader
    /// Where its payload starts in the file.
    let payloadOffset: UInt64
}

/// What reading a WAL file meets, in the order of the file.
enum WALItem {
    /// A whole group with the bytes of its records' payloads: `payloads[i]` belongs to `records[i]`.
    case group(WALGroupHeader, records: [WALFoundRecord], bytes: [UInt8], base: UInt64)
    /// Bytes of no valid group. `loose`: valid records among them. `header`: of the group, when that is whole.
    case damage(Range<UInt64>, header: WALGroupHeader?, loose: [WALFoundRecord])
}

/// Reads one WAL file from group to group; never trusts a length before its checksum, never holds more than a group.
///
/// Source: schemas/disk/wal.md, "Valid, torn, void, corrupt".
struct WALScanner {
    private let file: any DiskFile
    private let size: UInt64
    private let salt: UInt64
    private(set) var position = UInt64(WALFormat.firstGroup)
    /// Bytes read at once while looking for the next header.
    private static let windowBytes = 256 << 10

    init(_ file: any DiskFile, size: UInt64, salt: UInt64) {
        self.file = file
        self.size = size
        self.salt = salt
    }

    /// The file's header from either copy; nil when both are damaged.
    static func header(of file: any DiskFile, size: UInt64) throws(WALOpenError) -> WALFileHeader? {
        for copy in 0..<2 {
            let offset = UInt64(copy * WALFormat.fileHeaderBytes)
            guard offset + UInt64(WALFormat.fileHeaderBytes) <= size else { continue }
            let bytes: [UInt8]
            do { bytes = try file.read(at: offset, count: WALFormat.fileHeaderBytes) } catch { throw .disk(error) }
            let decoded = bytes.withUnsafeBytes { buffer in
                Result { () throws(UnknownFormat) in try WALFileHeader.decode(buffer) }
            }
            switch decoded {
            case .success(let header?): return header
            case .success(nil): continue
            case .failure(let unknown): throw .unknownFormat(unknown)
            }
        }
        return nil
    }

    /// Bytes of a copy of the header that is not as the other; nil when both are whole.
    static func damagedCopy(of header: WALFileHeader, in file: any DiskFile) throws(DiskError) -> Range<UInt64>? {
        let whole = header.encoded()
        for copy in 0..<2 {
            let offset = UInt64(copy * WALFormat.fileHeaderBytes)
            guard try file.read(at: offset, count: whole.count) != whole else { continue }
            return offset..<offset + UInt64(whole.count)
        }
        return nil
    }

    /// The next item, or nil at the end of the file.
    mutating func next() throws(DiskError) -> WALItem? {
        guard position < size else { return nil }
        let start = position
        guard let header = try groupHeader(at: start) else { return try damage(from: start, header: nil, until: size) }
        let end = start + UInt64(header.byteCount)
        guard end <= size else { return try damage(from: start, header: header, until: size) }
        let bytes = try file.read(at: start, count: Int(header.byteCount))
        if let records = records(of: header, in: bytes, at: start) {
            position = end
            return .group(header, records: records, bytes: bytes, base: start)
        }
        return try damage(from: start, header: header, until: end)
    }

    private func groupHeader(at offset: UInt64) throws(DiskError) -> WALGroupHeader? {
        guard size - offset >= UInt64(WALFormat.groupHeaderBytes) else { return nil }
        let bytes = try file.read(at: offset, count: WALFormat.groupHeaderBytes)
        return bytes.withUnsafeBytes { WALGroupHeader.decode($0, at: 0, salt: salt) }
    }

    /// The records of a group all of whose checksums hold; nil otherwise.
    private func records(of group: WALGroupHeader, in bytes: [UInt8], at base: UInt64) -> [WALFoundRecord]? {
        bytes.withUnsafeBytes { bytes in
            var found: [WALFoundRecord] = []
            var checksums: [UInt8] = []
            var offset = WALFormat.groupHeaderBytes
            let end = bytes.count - WALFormat.trailerBytes
            var spans: UInt64 = 0
            while offset < end {
                guard let record = record(in: bytes, at: offset, end: end),
                    record.sequence == group.firstSequence &+ UInt64(found.count)
                else { return nil }
                checksums.append(contentsOf: bytes[offset..<offset + 4])
                withUnsafeBytes(of: record.payloadChecksum.littleEndian) { checksums.append(contentsOf: $0) }
                let payload = base + UInt64(offset + WALFormat.recordHeaderBytes)
                found.append(WALFoundRecord(header: record, payloadOffset: payload))
                spans &+= UInt64(record.spanCount)
                offset += record.byteCount
            }
            guard found.count == Int(group.recordCount), spans == UInt64(group.spanCount),
                let trailer = WALTrailer.decode(bytes, at: end, salt: salt),
                trailer == WALTrailer(recordCount: group.recordCount, recordChecksums: crc32c(checksums))
            else { return nil }
            return found
        }
    }

    /// A record that lies wholly before `end` with both its checksums right.
    private func record(in bytes: UnsafeRawBufferPointer, at offset: Int, end: Int) -> WALRecordHeader? {
        guard let header = WALRecordHeader.decode(bytes, at: offset, salt: salt), header.byteCount <= end - offset
        else { return nil }
        let start = offset + WALFormat.recordHeaderBytes
        let payload = UnsafeRawBufferPointer(rebasing: bytes[start..<start + header.payloadBytes])
        return crc32c(payload) == header.payloadChecksum ? header : nil
    }

    /// Steps over damage in units of 8 bytes to the next valid group header, and gathers valid records on the way.
    private mutating func damage(
        from start: UInt64, header: WALGroupHeader?, until limit: UInt64
    ) throws(DiskError) -> WALItem {
        var loose: [WALFoundRecord] = []
        var offset = start + UInt64(header == nil ? WALFormat.alignment : WALFormat.groupHeaderBytes)
        while offset < limit {
            let count = Int(min(UInt64(Self.windowBytes), limit - offset))
            let window = try file.read(at: offset, count: count)
            let step = window.withUnsafeBytes { scan($0) }
            switch step {
            case .nothing: offset += UInt64(max(count - WALFormat.groupHeaderBytes, WALFormat.alignment) & ~7)
            case .group(let distance):
                position = offset + UInt64(distance)
                return .damage(start..<position, header: header, loose: loose)
            case .record(let distance, let record):
                let at = offset + UInt64(distance)
                if try isWhole(record, at: at, until: limit) {
                    let payload = at + UInt64(WALFormat.recordHeaderBytes)
                    loose.append(WALFoundRecord(header: record, payloadOffset: payload))
                    offset = at + UInt64(record.byteCount)
                } else {
                    offset = at + UInt64(WALFormat.alignment)
                }
            }
        }
        position = limit
        return .damage(start..<limit, header: header, loose: loose)
    }

    private enum Step {
        case nothing
        case group(distance: Int)
        case record(distance: Int, WALRecordHeader)
    }

    private func scan(_ window: UnsafeRawBufferPointer) -> Step {
        var offset = 0
        while offset < window.count {
            if WALGroupHeader.decode(window, at: offset, salt: salt) != nil { return .group(distance: offset) }
            if let record = WALRecordHeader.decode(window, at: offset, salt: salt) {
                return .record(distance: offset, record)
            }
            offset += WALFormat.alignment
        }
        return .nothing
    }

    private func isWhole(_ record: WALRecordHeader, at offset: UInt64, until limit: UInt64) throws(DiskError) -> Bool {
        guard UInt64(record.byteCount) <= limit - offset else { return false }
        let payload = try file.read(
            at: offset + UInt64(WALFormat.recordHeaderBytes), count: record.payloadBytes)
        return crc32c(payload) == record.payloadChecksum
    }
}

enum WALOpenError: Error {
    case disk(DiskError)
    case unknownFormat(UnknownFormat)
}
