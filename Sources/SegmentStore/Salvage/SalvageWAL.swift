internal import Telemetry

/// The part of a salvage that reads the WAL as a start does, and the metrics log.
extension StoreSalvage {
    mutating func saveWAL() throws(SalvageError) {
        var recovery = Recovery(disk: source, configuration: configuration)
        recovery.manifest = manifest
        recovery.sealsFullHeads = false
        recovery.shared.removed = manifest.removed
        recovery.shared.stored = manifest.liveSpans &+ manifest.removed.total
        let sealed = manifest.sealedSequence
        do { try recovery.replay() } catch let error as StoreOpenError {
            if case .unknownFormat(let path, let major) = error { throw .unknownFormat(path, major: major) }
            throw .notVerified("\(error)")
        } catch let error as DiskError {
            throw .source(error)
        } catch { throw .notVerified("\(error)") }
        let files: [WALFacts]
        do { files = try WALFacts.list(source).files } catch { throw .source(error) }
        manifest.removed = recovery.shared.removed
        report.looseRecords = recovery.report.salvagedRecords
        report.ambiguousRecords = recovery.report.ambiguousRecords
        for head in recovery.shared.sealing.map(\.head) + [recovery.shared.active] where !head.isEmpty {
            try seal(head)
        }
        manifest.sealedSequence = max(sealed, recovery.expected &- 1)
        for loss in recovery.report.losses { report.losses.append(place(loss, files)) }
        placeUncounted(recovery.report.losses, sealed: sealed)
        noteDamage(files, recovery.report)
    }

    /// A head of replayed records becomes a segment.
    private mutating func seal(_ head: Head) throws(SalvageError) {
        let records = head.records
        let (batches, omitted) = tombstones.remaining(records.batches, sequences: records.sequences)
        let (first, last) = head.sequences
        let id = max(manifest.nextSegmentID, manifest.segments.map { $0.id &+ 1 }.max() ?? 1)
        manifest.nextSegmentID = id &+ 1
        let identity = SegmentIdentity(id: id, firstSequence: first, lastSequence: last, storeID: manifest.storeID)
        let path = StorePath.segment(first: first, last: last, id: id, level: 0)
        var summary = SegmentSummary()
        let encoder = SegmentEncoder(compressionLevel: configuration.compressionLevel)
        try make(path) { (write) throws(SalvageError) in
            do throws(DiskError) {
                summary = try encoder.encode(batches, identity: identity, omitted: UInt64(omitted), write: write)
            } catch { throw .target(error) }
        }
        try verify(path, spans: summary.spanCount)
        manifest.segments.append(ManifestSegment(identity, summary))
        manifest.removed.deleted &+= UInt64(omitted)
        report.walSpans &+= summary.spanCount
    }

    // MARK: Where it was

    /// The file and bytes of lost records: the damage between the groups before and after them.
    private func place(_ loss: Loss, _ files: [WALFacts]) -> SalvageLoss {
        var placed = SalvageLoss(reason: "records are missing and no file has them")
        placed.sequences = loss.firstSequence...max(loss.firstSequence, loss.lastSequence)
        placed.spans = loss.spans
        for (index, file) in files.enumerated() {
            let limit = index + 1 < files.count ? StorePath.firstSequence(ofWALPath: files[index + 1].path) : nil
            for damage in file.damages {
                let expected = damage.expected ?? StorePath.firstSequence(ofWALPath: file.path) ?? 0
                guard expected <= loss.lastSequence, loss.lastSequence < damage.next ?? limit ?? .max else { continue }
                if let group = damage.group {
                    let end = group.firstSequence &+ UInt64(group.recordCount)
                    guard group.firstSequence <= loss.lastSequence, loss.firstSequence < end else { continue }
                }
                let start = placed.file == file.path ? placed.bytes?.lowerBound : nil
                placed.file = file.path
                placed.bytes = (start ?? damage.bytes.lowerBound)..<damage.bytes.upperBound
                let before = damage.wallBefore ?? 0
                placed.times = before...max(before, damage.wallAfter ?? .max)
                placed.reason = file.header == nil ? "both headers are damaged" : "damaged group of records"
            }
        }
        return placed
    }

    /// Segments that cannot be read and that no manifest counts: the log's count of spans tells what was in them when
    /// there is one of them; records that the log still had are not lost.
    private mutating func placeUncounted(_ losses: [Loss], sealed: UInt64) {
        for candidate in uncounted {
            var loss = SalvageLoss(file: candidate.path, reason: candidate.reason)
            loss.bytes = 0..<candidate.size
            loss.sequences = candidate.sequences
            let last = candidate.sequences?.upperBound ?? 0
            let first = candidate.sequences?.lowerBound ?? 0
            if !candidate.isSetAside, last > sealed, !losses.contains(where: { $0.lastSequence >= first }) {
                note(candidate.path, "\(candidate.reason); its records are in the WAL", bytes: 0..<candidate.size)
                continue
            }
            let unplaced = report.losses.firstIndex { $0.file == nil }
            if uncounted.count == 1, let unplaced {
                loss.spans = report.losses[unplaced].spans
                report.losses[unplaced] = loss
            } else {
                report.losses.append(loss)
            }
        }
    }

    /// Damage that cost nothing, and the torn end.
    private mutating func noteDamage(_ files: [WALFacts], _ found: RecoveryReport) {
        for file in files {
            if let copy = file.damagedHeader { note(file.path, "one copy of the header is damaged", bytes: copy) }
            for damage in file.damages {
                let isLoss = report.losses.contains { $0.file == file.path && $0.bytes?.overlaps(damage.bytes) == true }
                guard !isLoss else { continue }
                let isLast = damage.next == nil && file.path == files.last?.path
                let isTorn = isLast && found.tornBytes > 0
                let records = damage.group.map { "a group of \($0.recordCount) records" } ?? "no whole group header"
                let reason =
                    isTorn
                    ? "torn end, \(records): ambiguous, nothing tells whether it had been acknowledged"
                    : "damaged, \(records), and every record of it saved"
                note(file.path, reason, bytes: damage.bytes, isDamage: !isTorn)
            }
        }
    }

    // MARK: Metrics

    /// Takes over the metrics log files, each up to its damage. What is after that cannot be told from what it changed.
    mutating func saveMetrics() throws(SalvageError) {
        try saveMetrics(in: "", below: [])
        let tenants: [DiskEntry]
        do { tenants = try source.list(StorePath.tenantsDirectory) } catch { throw .source(error) }
        for tenant in tenants where !tenant.isRegularFile {
            let folder = StorePath.tenant(tenant.name)
            try saveMetrics(in: folder + "/", below: [StorePath.tenantsDirectory, folder])
        }
    }

    /// - Parameters:
    ///   - folder: a path that ends with `/`, or nothing.
    ///   - parents: folders on the way there.
    private mutating func saveMetrics(in folder: String, below parents: [String]) throws(SalvageError) {
        let directory = folder + StorePath.metricsDirectory
        let entries: [DiskEntry]
        do { entries = try source.list(directory).filter(\.isRegularFile) } catch { throw .source(error) }
        guard !entries.isEmpty else { return }
        if let target {
            for path in parents + [directory] {
                madeFolders.append(path)
                try onTarget { () throws(DiskError) in try target.makeDirectory(path) }
            }
        }
        for entry in entries {
            let path = "\(directory)/\(entry.name)"
            let isLog = StorePath.number(ofMetricsLog: entry.name) != nil
            guard isLog || path == folder + StorePath.metricsTally else { continue }
            let usable: UInt64
            let file: any DiskFile
            do {
                file = try source.open(path)
                usable = isLog ? try usableBytes(file, path) : entry.byteCount
            } catch {
                note(path, error.description)
                continue
            }
            defer { file.close() }
            guard usable > 0 else { continue }
            report.metricsFiles += isLog ? 1 : 0
            try copy(file, usable, to: path)
        }
        if let target {
            try onTarget { () throws(DiskError) in
                for path in [directory] + parents.reversed() { try target.syncDirectory(path) }
            }
        }
    }

    /// How much of a metrics log belongs to valid groups; 0 when its checkpoint is not whole.
    private mutating func usableBytes(_ file: any DiskFile, _ path: String) throws(DiskError) -> UInt64 {
        let size = try file.size()
        var isCheckpointed = false
        guard var reader = try MetricsLogReader(file) else {
            note(path, "header damaged, not used", bytes: 0..<size)
            return 0
        }
        while let records = try reader.next() {
            if records.contains(where: { $0.kind == .checkpointEnd }) { isCheckpointed = true }
        }
        guard isCheckpointed else {
            note(path, "no whole checkpoint, not used", bytes: 0..<size)
            return 0
        }
        if reader.offset < size {
            let isCorrupt = try reader.ending() == .corrupt
            let wall = reader.last.map { ", metrics after \($0.wall) ns are lost" } ?? ""
            note(
                path, isCorrupt ? "damaged\(wall)" : "torn end", bytes: reader.offset..<size, isDamage: isCorrupt)
        }
        return reader.offset
    }
}

extension StorePath {
    static func firstSequence(ofWALPath path: String) -> UInt64? {
        firstSequence(ofWAL: String(path.split(separator: "/").last ?? ""))
    }
}
