internal import Telemetry

/// A segment file of the damaged directory, looked through.
struct SalvageCandidate {
    let path: String
    let size: UInt64
    /// As MANIFEST has it.
    let listed: ManifestSegment?
    /// Set aside by a start, and not listed any more.
    let isSetAside: Bool
    /// Nil when header, footer or trailer are damaged: then nothing of the file can be read.
    var reader: SegmentReader?
    var reason = ""
    /// Damaged columns.
    var findings: [StoreFinding] = []
    /// Blocks whose spans cannot be read, and why.
    var lost: [Int: String] = [:]

    init(_ path: String, size: UInt64, listed: ManifestSegment?, isSetAside: Bool = false) {
        self.path = path
        self.size = size
        self.listed = listed
        self.isSetAside = isSetAside
    }

    /// First and last sequence, from the reader or else from the name.
    var sequences: ClosedRange<UInt64>? {
        if let identity = reader?.identity {
            return identity.firstSequence...max(identity.firstSequence, identity.lastSequence)
        }
        let name = path.split(separator: "/").last ?? ""
        let parts = name.split(separator: "-")
        guard parts.count == 3, let first = UInt64(parts[0]), let last = UInt64(parts[1]), first <= last else {
            return nil
        }
        return first...last
    }

    /// Reads every byte.
    mutating func examine(_ disk: any Disk, storeID: [UInt8]) {
        do throws(SegmentError) {
            let found = try SegmentReader(file: try SegmentFacts.open(path, disk), name: path)
            guard found.identity.storeID == storeID else { return reason = "of another store" }
            take(found)
        } catch {
            reason = error.description
            repair(disk, storeID)
        }
    }

    private mutating func take(_ found: SegmentReader) {
        reader = found
        findings += found.findings()
        if !findings.isEmpty { decodeBlocks(found) }
    }

    /// A single flipped bit in header, footer or trailer is found by its checksum. Whatever the list says must agree,
    /// and the segment is written anew: of what was corrected only what the blocks' own checksums confirm goes on.
    private mutating func repair(_ disk: any Disk, _ storeID: [UInt8]) {
        do {
            let file = try disk.open(path)
            var ends = SegmentEndRepair(file, size: try file.size())
            guard let corrected = try ends.run() else { return }
            let found = try SegmentReader(file: corrected, name: path)
            guard found.identity.storeID == storeID else { return }
            if let listed, listed != ManifestSegment(found.identity, found.summary) { return }
            findings = ends.corrections.keys.sorted().map { place in
                StoreFinding(path, bytes: place..<place + 1, "\(reason): one flipped bit, corrected")
            }
            take(found)
        } catch {
            // The reason known already is the better one.
        }
    }

    private mutating func decodeBlocks(_ reader: SegmentReader) {
        for index in 0..<reader.blockCount {
            do throws(SegmentError) { _ = try BlockBatch(reader.block(index, PieceInflater()), tenant: "") } catch {
                lost[index] = error.description
            }
        }
    }
}

/// The part of a salvage that takes over what the segments still have.
///
/// Which files count is decided as at a start: schemas/disk/manifest.md, "What the directory says". Beyond that, what
/// earlier starts set aside in `quarantine/` is looked through as well, as long as the ledger has spans there.
extension StoreSalvage {
    mutating func saveSegments() throws(SalvageError) {
        var candidates = try listed() + setAside()
        for index in candidates.indices { candidates[index].examine(source, storeID: manifest.storeID) }
        let replaced = Set(candidates.flatMap { $0.reader?.identity.replaces ?? [] })
        for candidate in candidates {
            guard let reader = candidate.reader else {
                lose(candidate)
                continue
            }
            if candidate.listed == nil, replaced.contains(reader.identity.id) { continue }
            if candidate.isSetAside, !takesBack(reader) {
                note(candidate.path, "its spans are elsewhere already, not used", isDamage: false)
                continue
            }
            try save(candidate, reader)
        }
        loseRestOfQuarantine()
    }

    /// What is still counted as set aside cannot be read: the new directory does not have it.
    private mutating func loseRestOfQuarantine() {
        let rest = manifest.removed.quarantined
        guard rest > 0 else { return }
        manifest.removed.lost &+= rest
        manifest.removed.quarantined = 0
        let files = uncounted.filter(\.isSetAside)
        var loss = SalvageLoss(
            file: files.count == 1 ? files[0].path : StorePath.quarantineDirectory,
            reason: "set aside by an earlier start or the scrub: \(files.first?.reason ?? "damaged blocks")")
        loss.spans = rest
        if files.count == 1 { loss.bytes = 0..<files[0].size }
        report.losses.append(loss)
        uncounted.removeAll(where: \.isSetAside)
    }

    private func files(_ directory: String) throws(SalvageError) -> [DiskEntry] {
        do { return try source.list(directory).filter(\.isRegularFile) } catch { throw .source(error) }
    }

    /// The segments that a start would take, and the listed ones that are missing.
    private mutating func listed() throws(SalvageError) -> [SalvageCandidate] {
        var rest = Dictionary(
            (loaded?.segments ?? []).map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        var found: [SalvageCandidate] = []
        for entry in try files(StorePath.segmentDirectory) {
            guard let id = StorePath.id(ofSegment: entry.name) else { continue }
            let path = "\(StorePath.segmentDirectory)/\(entry.name)"
            let row = rest.removeValue(forKey: path)
            if row == nil, let loaded, id < loaded.nextSegmentID { continue }
            found.append(SalvageCandidate(path, size: entry.byteCount, listed: row))
        }
        let kept = Set(try files(StorePath.quarantineDirectory).map(\.name))
        for row in rest.values.sorted(by: { $0.id < $1.id }) {
            let name = String(row.path.split(separator: "/").last ?? "")
            let path = kept.contains(name) ? StorePath.quarantine(name) : row.path
            found.append(SalvageCandidate(path, size: row.byteCount, listed: row))
        }
        return found
    }

    private mutating func setAside() throws(SalvageError) -> [SalvageCandidate] {
        let known = Set((loaded?.segments ?? []).map { String($0.path.split(separator: "/").last ?? "") })
        var found: [SalvageCandidate] = []
        for entry in try files(StorePath.quarantineDirectory) where !known.contains(entry.name) {
            if StorePath.id(ofSegment: entry.name) == nil { continue }
            found.append(
                SalvageCandidate(
                    StorePath.quarantine(entry.name), size: entry.byteCount, listed: nil, isSetAside: true))
        }
        return found
    }

    /// Whether the ledger has this segment's spans in quarantine; they leave that term. Without a manifest nothing
    /// contradicts.
    private mutating func takesBack(_ reader: SegmentReader) -> Bool {
        guard loaded != nil else { return true }
        guard manifest.removed.quarantined >= reader.summary.spanCount else { return false }
        manifest.removed.quarantined &-= reader.summary.spanCount
        return true
    }

    /// A file of which nothing can be read.
    private mutating func lose(_ candidate: SalvageCandidate) {
        report.lostSegments += 1
        if let row = candidate.listed {
            var loss = SalvageLoss(file: candidate.path, reason: candidate.reason)
            loss.bytes = 0..<candidate.size
            loss.sequences = candidate.sequences
            loss.spans = row.spanCount
            manifest.removed.lost &+= row.spanCount
            report.losses.append(loss)
        } else if candidate.isSetAside, loaded != nil, manifest.removed.quarantined == 0 {
            note(candidate.path, "\(candidate.reason); its spans were in the WAL", isDamage: false)
        } else {
            uncounted.append(candidate)
        }
    }

    // MARK: Saving one

    private mutating func save(_ candidate: SalvageCandidate, _ reader: SegmentReader) throws(SalvageError) {
        for block in candidate.lost.keys.sorted() { lose(block, of: candidate, reader) }
        report.notes += candidate.findings.filter { candidate.lost[$0.block ?? -1] == nil }
        if candidate.listed == nil, !candidate.isSetAside { manifest.removed.deleted &+= reader.summary.omittedCount }
        guard candidate.lost.count < reader.blockCount || reader.blockCount == 0 else {
            report.lostSegments += 1
            return
        }
        let identity = reader.identity
        let path = StorePath.segment(
            first: identity.firstSequence, last: identity.lastSequence, id: identity.id, level: identity.level)
        guard !manifest.segments.contains(where: { $0.path == path }) else {
            return note(candidate.path, "a second copy of \(path), not used", isDamage: false)
        }
        let entry =
            candidate.findings.isEmpty
            ? try copy(candidate, reader, to: path) : try rewrite(candidate, reader, to: path)
        manifest.segments.append(entry)
        report.segmentSpans &+= entry.spanCount
        manifest.sealedSequence = max(manifest.sealedSequence, identity.lastSequence)
    }

    private mutating func lose(_ block: Int, of candidate: SalvageCandidate, _ reader: SegmentReader) {
        let entry = reader.footer.blocks[block]
        var loss = SalvageLoss(file: candidate.path, reason: candidate.lost[block] ?? "")
        loss.block = block
        loss.bytes = entry.columns.first.map { $0.offset..<($0.offset &+ entry.byteCount) }
        loss.sequences = candidate.sequences
        loss.spans = UInt64(entry.spans)
        loss.times = entry.earliestStart...max(entry.earliestStart, entry.latestStart)
        manifest.removed.lost &+= UInt64(entry.spans)
        report.losses.append(loss)
    }

    private mutating func copy(
        _ candidate: SalvageCandidate, _ reader: SegmentReader, to path: String
    ) throws(SalvageError) -> ManifestSegment {
        report.wholeSegments += 1
        let entry = candidate.listed ?? ManifestSegment(reader.identity, reader.summary)
        guard target != nil else { return entry }
        try copy(reader.file, reader.summary.byteCount, to: path)
        try verify(path, spans: entry.spanCount)
        return entry
    }

    /// Copies the first bytes of a file.
    mutating func copy(_ file: any DiskFile, _ size: UInt64, to path: String) throws(SalvageError) {
        try make(path) { (write) throws(SalvageError) in
            var offset: UInt64 = 0
            while offset < size {
                let bytes: [UInt8]
                do throws(DiskError) {
                    bytes = try file.read(at: offset, count: Int(min(1 << 20, size - offset)))
                } catch {
                    throw .source(error)
                }
                do throws(DiskError) { try write(bytes) } catch { throw .target(error) }
                offset += UInt64(bytes.count)
            }
        }
    }

    /// The readable blocks, written anew under the same id.
    private mutating func rewrite(
        _ candidate: SalvageCandidate, _ reader: SegmentReader, to path: String
    ) throws(SalvageError) -> ManifestSegment {
        report.rewrittenSegments += 1
        var identity = reader.identity
        identity.replaces = []
        let (level, blockSpans) = (configuration.compressionLevel, configuration.compaction.blockSpans)
        var result = MergeResult()
        try make(path) { (write) throws(SalvageError) in
            var merge = SegmentMerge(
                [reader], tombstones: Tombstones(), compressionLevel: level,
                blockSpans: blockSpans, skipping: Set(candidate.lost.keys))
            do throws(MergeError) {
                result = try merge.run(identity, compressionLevel: level, write: write) { (_) throws(MergeError) in }
            } catch {
                switch error {
                case .disk(let error): throw .target(error)
                case .segment(let error): throw .notVerified(error.description)
                case .stopped: throw .notVerified("stopped")
                }
            }
        }
        manifest.removed.merged &+= result.repeated
        if target != nil { try verify(path, spans: result.summary.spanCount) }
        return ManifestSegment(identity, result.summary)
    }

    /// Reads back what was written: every checksum.
    func verify(_ path: String, spans: UInt64) throws(SalvageError) {
        guard let target else { return }
        do throws(SegmentError) {
            let reader = try SegmentReader(file: try SegmentFacts.open(path, target), name: path)
            try reader.verify()
            guard reader.summary.spanCount == spans else {
                throw .damaged(file: path, block: nil, "\(reader.summary.spanCount) spans instead of \(spans)")
            }
        } catch { throw .notVerified(error.description) }
    }
}
