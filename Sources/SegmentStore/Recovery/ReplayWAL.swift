internal import Telemetry

/// The part of recovery that reads the WAL: groups into heads, damage into salvage and losses.
///
/// Source: schemas/disk/wal.md, "Valid, torn, void, corrupt".
extension Recovery {
    /// A file of the WAL folder, in the order of first sequences.
    struct Source {
        let path: String
        let file: any DiskFile
        let size: UInt64
        let firstSequence: UInt64
        /// Nil when both copies are damaged.
        let header: WALFileHeader?
    }

    /// Bytes of no valid group, and what may still come of them.
    struct Damage {
        let source: Int
        let range: Range<UInt64>
        let header: WALGroupHeader?
        /// Of the record that should be there.
        let sequence: UInt64
        var loose: [WALFoundRecord]
        /// First sequence of the next valid group in the same file; nil when none follows.
        var following: UInt64?
    }

    /// Sequences that are missing below later ones, and the spans in them.
    struct Gap {
        let sequences: Range<UInt64>
        var spans: UInt64
        /// The file in which they are missing between two groups; nil when whole files say so.
        let source: Int?
    }

    /// What reading the log brought up beside whole groups.
    struct Evidence {
        var damages: [Damage] = []
        var gaps: [Gap] = []
        /// The highest sequence that the groups of each file call durable.
        var durable: [Int: UInt64] = [:]

        /// Whether records were written, but not synced when the machine stopped: a later group survived (durability
        /// `interval`), and nothing in that file says that these ever were durable.
        func isUnsynced(_ sequence: UInt64, in source: Int?) -> Bool {
            guard let source else { return false }
            return sequence > durable[source] ?? 0
        }

        func isUnsynced(_ gap: Gap) -> Bool { isUnsynced(gap.sequences.lowerBound, in: gap.source) }

        /// A damaged group without records is a witness, and that is always synced.
        func isUnsynced(_ damage: Damage) -> Bool {
            guard let following = damage.following, following > damage.sequence else { return false }
            return isUnsynced(damage.sequence, in: damage.source)
        }
    }

    mutating func replay() throws {
        // Whatever is thrown: no thread is left behind.
        defer { endSeal() }
        expected = manifest.sealedSequence &+ 1
        let sources = try openSources()
        var evidence = Evidence()
        for (index, source) in sources.enumerated() {
            let limit = index + 1 < sources.count ? sources[index + 1].firstSequence : UInt64.max
            let before = expected
            if let header = source.header {
                noteGap(before: header.firstSequence, spansBefore: header.spansBefore, in: nil, &evidence)
                try replay(source, header, index, limit, &evidence)
            } else {
                problem("header of \(source.path) is damaged")
                try keepCopy(source.path)
            }
            shared.walFiles.append(
                WALFile(
                    path: source.path, firstSequence: source.firstSequence, lastSequence: limit &- 1,
                    byteCount: source.size))
            if expected > before { try syncReplayed(source) }
        }
        endSeal()
        try judge(&evidence, sources)
        endWAL()
        for source in sources { source.file.close() }
    }

    private mutating func openSources() throws -> [Source] {
        var sources: [Source] = []
        for entry in try disk.list(StorePath.walDirectory) where entry.isRegularFile {
            guard let named = StorePath.firstSequence(ofWAL: entry.name) else { continue }
            let path = "\(StorePath.walDirectory)/\(entry.name)"
            let file = try disk.open(path)
            let size = try file.size()
            var header: WALFileHeader?
            do throws(WALOpenError) { header = try WALScanner.header(of: file, size: size) } catch {
                switch error {
                case .disk(let error): throw error
                case .unknownFormat(let unknown): throw StoreOpenError.unknownFormat(path: path, major: unknown.major)
                }
            }
            if let found = header, size >= UInt64(WALFormat.firstGroup),
                try WALScanner.damagedCopy(of: found, in: file) != nil
            {
                problem("one copy of the header of \(path) is damaged; the other is whole")
            }
            if let found = header, found.storeID != manifest.storeID {
                problem("\(path) is of another store")
                header = nil
            }
            sources.append(
                Source(
                    path: path, file: file, size: size, firstSequence: header?.firstSequence ?? named,
                    header: header))
        }
        return sources.sorted { ($0.firstSequence, $0.path) < ($1.firstSequence, $1.path) }
    }

    private mutating func replay(
        _ source: Source, _ header: WALFileHeader, _ index: Int, _ limit: UInt64, _ evidence: inout Evidence
    ) throws {
        var next = header.firstSequence
        var scanner = WALScanner(source.file, size: source.size, salt: header.salt)
        while let item = try scanner.next() {
            switch item {
            case .group(let group, let records, let bytes, let base):
                for earlier in evidence.damages.indices where evidence.damages[earlier].source == index {
                    let known = evidence.damages[earlier].following
                    evidence.damages[earlier].following = known ?? group.firstSequence
                }
                evidence.durable[index] = max(evidence.durable[index] ?? 0, group.durableSequence)
                next = group.firstSequence &+ UInt64(group.recordCount)
                guard group.firstSequence < limit else { continue }
                noteGap(before: group.firstSequence, spansBefore: group.spansBefore, in: index, &evidence)
                for record in records where record.header.sequence == expected {
                    let start = Int(record.payloadOffset - base)
                    let payload = bytes[start..<start + record.header.payloadBytes]
                    payload.withUnsafeBytes { take(record.header, $0) }
                    expected &+= 1
                }
                splitHead(isSealable: evidence.gaps.isEmpty && !evidence.damages.contains { $0.source == index })
            case .damage(let range, let group, let loose):
                let kept = loose.filter { $0.header.sequence < limit }
                evidence.damages.append(
                    Damage(source: index, range: range, header: group, sequence: next, loose: kept))
            }
        }
    }

    /// Everything below `sequence` was committed, `spansBefore` spans in all: what is not there yet is missing.
    private mutating func noteGap(
        before sequence: UInt64, spansBefore: UInt64, in source: Int?, _ evidence: inout Evidence
    ) {
        guard sequence >= expected else { return }
        if spansBefore < shared.stored { problem("records before \(sequence) have fewer spans than were counted") }
        let spans = spansBefore > shared.stored ? spansBefore - shared.stored : 0
        if sequence > expected || spans > 0 {
            evidence.gaps.append(Gap(sequences: expected..<sequence, spans: spans, source: source))
            shared.stored &+= spans
        }
        expected = sequence
    }

    /// A record whose checksums hold, into the head.
    private mutating func take(_ record: WALRecordHeader, _ payload: UnsafeRawBufferPointer) {
        shared.stored &+= UInt64(record.spanCount)
        guard let batch = batch(record, payload) else {
            return lose(record.sequence...record.sequence, spans: UInt64(record.spanCount), "cannot be read")
        }
        shared.active.insert(batch, sequence: record.sequence)
        report.replayedRecords += 1
        report.replayedSpans += UInt64(record.spanCount)
    }

    private func batch(_ record: WALRecordHeader, _ payload: UnsafeRawBufferPointer) -> SpanBatch? {
        let start = WALFormat.padded(Int(record.tenantBytes))
        guard record.signal == WALFormat.spans, payload.count >= start + Int(record.bodyBytes) else { return nil }
        let tenant = String(decoding: payload[0..<Int(record.tenantBytes)], as: UTF8.self)
        let body = UnsafeRawBufferPointer(rebasing: payload[start..<start + Int(record.bodyBytes)])
        guard let batch = try? SpanBatchCodec.decode(body, tenant: tenant),
            batch.spans.count == Int(record.spanCount)
        else { return nil }
        return batch
    }

    private mutating func lose(_ sequences: ClosedRange<UInt64>, spans: UInt64, _ why: String) {
        let loss = Loss(firstSequence: sequences.lowerBound, lastSequence: sequences.upperBound, spans: spans)
        losses.append(loss)
        report.losses.append(loss)
        shared.removed.lost &+= spans
        problem("records \(sequences.lowerBound)-\(sequences.upperBound) with \(spans) spans \(why)")
    }

    /// A head that is full is sealed while the next is filled: a long log needs no more memory than two heads.
    ///
    /// - Parameter isSealable: false while something is missing or damaged: what can be saved of it must go into a head
    ///   that is sealed no later than later records. Then, or when sealing fails, full heads wait for the sealer.
    private mutating func splitHead(isSealable: Bool) {
        guard shared.active.byteCount >= configuration.headBytes else { return }
        let full = SealingHead(head: shared.active, coveredSequence: expected &- 1, segmentID: nextSegmentID)
        nextSegmentID &+= 1
        shared.active = Head()
        endSeal()
        if isSealable, sealsFullHeads, losses.isEmpty, shared.sealing.isEmpty {
            beginSeal(full)
        } else {
            shared.sealing.append(full)
        }
    }

    /// What was replayed may so far be in the page cache only; from now on it is promised.
    private mutating func syncReplayed(_ source: Source) throws {
        do { try source.file.syncData() } catch { problem("\(error)") }
    }

    // MARK: Damage

    /// Decides what each damaged range was, saves what can be saved, and counts the rest.
    private mutating func judge(_ evidence: inout Evidence, _ sources: [Source]) throws {
        var salvaged: [(WALFoundRecord, SpanBatch)] = []
        for damage in evidence.damages {
            let isUnsynced = evidence.isUnsynced(damage)
            var isCorrupt = damage.following != nil && !isUnsynced
            for record in damage.loose {
                guard let gap = evidence.gaps.firstIndex(where: { $0.sequences.contains(record.header.sequence) }),
                    !salvaged.contains(where: { $0.0.header.sequence == record.header.sequence })
                else { continue }
                if !isUnsynced { isCorrupt = true }
                guard let batch = try read(record, sources[damage.source].file) else { continue }
                evidence.gaps[gap].spans -= min(evidence.gaps[gap].spans, UInt64(batch.spans.count))
                salvaged.append((record, batch))
            }
            if let group = damage.header, !isUnsynced,
                evidence.gaps.contains(where: { $0.sequences.contains(group.firstSequence) })
            {
                isCorrupt = true
            }
            if isCorrupt {
                problem("\(sources[damage.source].path) is damaged at bytes \(damage.range)")
                try keepCopy(sources[damage.source].path)
            } else {
                report.tornBytes += UInt64(damage.range.count)
                if !isUnsynced { report.ambiguousRecords += Int(damage.header?.recordCount ?? 0) }
            }
        }
        insert(salvaged)
        settle(evidence, saved: Set(salvaged.map(\.0.header.sequence)))
    }

    /// Counts what is missing for good.
    private mutating func settle(_ evidence: Evidence, saved: Set<UInt64>) {
        for gap in evidence.gaps {
            // Sequences of a gap are as many as records were written in between: a claim of more is no range to walk.
            let isKnown = !gap.sequences.isEmpty && gap.sequences.upperBound - gap.sequences.lowerBound <= 1 << 20
            let missing = isKnown ? gap.sequences.filter { !saved.contains($0) } : []
            guard gap.spans > 0 || !isKnown || !missing.isEmpty else { continue }
            let first = missing.first ?? gap.sequences.lowerBound
            let last = missing.last ?? max(gap.sequences.upperBound &- 1, first)
            if evidence.isUnsynced(gap) {
                loseUnsynced(first...last, spans: gap.spans)
            } else {
                lose(first...last, spans: gap.spans, "are missing")
            }
        }
    }

    /// Part of what durability `interval` allows to be lost with the power: counted, but no damage.
    private mutating func loseUnsynced(_ sequences: ClosedRange<UInt64>, spans: UInt64) {
        let loss = Loss(firstSequence: sequences.lowerBound, lastSequence: sequences.upperBound, spans: spans)
        losses.append(loss)
        report.losses.append(loss)
        shared.removed.lost &+= spans
        report.unsyncedSpans &+= spans
        configuration.log(
            .warning,
            "recovery: records \(sequences.lowerBound)-\(sequences.upperBound) with \(spans) spans were not synced yet")
    }

    private func read(_ record: WALFoundRecord, _ file: any DiskFile) throws -> SpanBatch? {
        let payload = try file.read(at: record.payloadOffset, count: record.header.payloadBytes)
        return payload.withUnsafeBytes { batch(record.header, $0) }
    }

    /// Saved records go into one head with everything else: a seal that covers later sequences must hold them.
    private mutating func insert(_ salvaged: [(WALFoundRecord, SpanBatch)]) {
        guard !salvaged.isEmpty else { return }
        let heads = shared.sealing.map(\.head) + [shared.active]
        let merged = Head()
        for head in heads {
            let (batches, sequences) = head.records
            for (batch, sequence) in zip(batches, sequences) { merged.insert(batch, sequence: sequence) }
        }
        for (record, batch) in salvaged { merged.insert(batch, sequence: record.header.sequence) }
        report.salvagedRecords = salvaged.count
        shared.sealing = []
        shared.active = merged
    }

    /// The newest old file ends where the replay did.
    private mutating func endWAL() {
        guard let last = shared.walFiles.indices.last else { return }
        shared.walFiles[last].lastSequence = expected &- 1
    }
}
