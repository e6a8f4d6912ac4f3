internal import Bytes
internal import Telemetry

/// Reads every byte of a data directory or snapshot that nobody has open, and says exactly what is damaged.
///
/// Changes nothing. The caller holds the directory's lock.
/// Source: schemas/disk/README.md, and the validity rules of the pages it names.
package struct StoreVerification: Sendable {
    package private(set) var findings: [StoreFinding] = []
    package private(set) var segments: [SegmentFacts] = []
    package private(set) var walFiles = 0
    /// Spans in whole WAL groups, sealed ones among them.
    package private(set) var walSpans: UInt64 = 0
    /// Bytes looked at.
    package private(set) var bytes: UInt64 = 0

    package var isWhole: Bool { !findings.contains(where: \.isDamage) }

    /// - Throws: when a folder cannot be listed; files that cannot be read are findings.
    package init(_ disk: any Disk) throws(DiskError) {
        let top = try disk.list("").map(\.name)
        let meta = small(StorePath.meta, disk, top, StoreMeta.decode)
        let manifest = small(StorePath.manifest, disk, top, Manifest.decode)
        if let meta, let manifest, meta.storeID != manifest.storeID {
            findings.append(StoreFinding(StorePath.manifest, "of another store than META"))
        }
        if top.contains(StorePath.snapshotMark) {
            let mark = small(StorePath.snapshotMark, disk, top, Snapshot.decode)
            if let mark, let manifest, mark.manifestChecksum != crc32c(manifest.encoded()) {
                findings.append(StoreFinding(StorePath.manifest, "not the one that SNAPSHOT names"))
            }
        }
        try checkSegments(disk, manifest)
        if top.contains(StorePath.walDirectory) { try checkWAL(disk) }
        noteLeftovers(disk, top)
    }

    private mutating func small<Value>(
        _ path: String, _ disk: any Disk, _ names: [String], _ decode: ([UInt8]) throws(UnknownFormat) -> Value?
    ) -> Value? {
        guard names.contains(path) else {
            findings.append(StoreFinding(path, "missing"))
            return nil
        }
        do {
            let content = try disk.readAll(path, limit: 1 << 30)
            bytes &+= UInt64(content.count)
            if let value = try decode(content) { return value }
            findings.append(StoreFinding(path, bytes: 0..<UInt64(content.count), "checksum"))
        } catch let unknown as UnknownFormat {
            findings.append(StoreFinding(path, "format \(unknown.major), which this version does not know"))
        } catch {
            findings.append(StoreFinding(path, "\(error)"))
        }
        return nil
    }

    // MARK: Segments

    private mutating func checkSegments(_ disk: any Disk, _ manifest: Manifest?) throws(DiskError) {
        let names = try segmentFiles(disk)
        let listed = Dictionary(
            (manifest?.segments ?? []).map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        for entry in names {
            let path = "\(StorePath.segmentDirectory)/\(entry.name)"
            check(path, entry.byteCount, listed[path], disk)
        }
        let found = Set(names.map { "\(StorePath.segmentDirectory)/\($0.name)" })
        for path in listed.keys.sorted() where !found.contains(path) {
            findings.append(StoreFinding(path, "missing, with \(listed[path]?.spanCount ?? 0) spans"))
        }
    }

    /// A folder that is missing holds nothing: every listed segment is then missing.
    private func segmentFiles(_ disk: any Disk) throws(DiskError) -> [DiskEntry] {
        do {
            return try disk.list(StorePath.segmentDirectory).filter { StorePath.id(ofSegment: $0.name) != nil }
        } catch {
            if error.isMissing { return [] }
            throw error
        }
    }

    private mutating func check(_ path: String, _ size: UInt64, _ listed: ManifestSegment?, _ disk: any Disk) {
        bytes &+= size
        do throws(SegmentError) {
            let reader = try SegmentReader(file: try SegmentFacts.open(path, disk), name: path)
            findings += reader.findings()
            segments.append(SegmentFacts(reader, path: path))
            if let listed, listed != ManifestSegment(reader.identity, reader.summary) {
                findings.append(StoreFinding(path, "not as MANIFEST lists it"))
            }
        } catch {
            let range: Range<UInt64>? = if case .disk = error { nil } else { 0..<size }
            findings.append(StoreFinding(path, bytes: range, error.description))
        }
    }

    // MARK: WAL

    private mutating func checkWAL(_ disk: any Disk) throws(DiskError) {
        let names = try disk.list(StorePath.walDirectory).filter { StorePath.firstSequence(ofWAL: $0.name) != nil }
        for (index, entry) in names.enumerated() {
            let path = "\(StorePath.walDirectory)/\(entry.name)"
            let next = index + 1 < names.count ? StorePath.firstSequence(ofWAL: names[index + 1].name) : nil
            walFiles += 1
            bytes &+= entry.byteCount
            do {
                let file = try disk.open(path)
                defer { file.close() }
                guard let header = try WALScanner.header(of: file, size: entry.byteCount) else {
                    findings.append(StoreFinding(path, bytes: 0..<UInt64(WALFormat.firstGroup), "header checksum"))
                    continue
                }
                if entry.byteCount >= UInt64(WALFormat.firstGroup),
                    let copy = try WALScanner.damagedCopy(of: header, in: file)
                {
                    findings.append(StoreFinding(path, bytes: copy, "one copy of the header"))
                }
                try scan(path, file, entry.byteCount, header, nextFile: next)
            } catch {
                findings.append(StoreFinding(path, "\(error)"))
            }
        }
    }

    /// Damage counts when anything later shows that those bytes had been acknowledged; a torn end is no damage.
    private mutating func scan(
        _ path: String, _ file: any DiskFile, _ size: UInt64, _ header: WALFileHeader, nextFile: UInt64?
    ) throws(DiskError) {
        var scanner = WALScanner(file, size: size, salt: header.salt)
        var expected = header.firstSequence
        var open: [StoreFinding] = []
        while let item = try scanner.next() {
            switch item {
            case .group(let group, let records, _, _):
                findings += open
                open = []
                expected = group.firstSequence &+ UInt64(records.count)
                walSpans &+= UInt64(group.spanCount)
            case .damage(let range, let group, let loose):
                let what = group.map { "group of records from \($0.firstSequence)" } ?? "no valid group"
                open.append(StoreFinding(path, bytes: range, "\(what), \(loose.count) records readable"))
            }
        }
        let isAcknowledged = nextFile.map { $0 > expected } ?? false
        for var finding in open {
            if !isAcknowledged {
                finding.isDamage = false
                finding.reason = "torn end: " + finding.reason + ", nothing shows that it was acknowledged"
            }
            findings.append(finding)
        }
    }

    private mutating func noteLeftovers(_ disk: any Disk, _ top: [String]) {
        guard top.contains(StorePath.quarantineDirectory) else { return }
        do throws(DiskError) {
            for entry in try disk.list(StorePath.quarantineDirectory) {
                let path = StorePath.quarantine(entry.name)
                findings.append(StoreFinding(path, "damaged original, set aside by a start", isDamage: false))
            }
        } catch { findings.append(StoreFinding(StorePath.quarantineDirectory, error.description)) }
    }
}
