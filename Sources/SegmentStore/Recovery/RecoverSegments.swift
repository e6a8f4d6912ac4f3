internal import Telemetry

/// The part of recovery that finds out which segments are live.
///
/// Source: schemas/disk/manifest.md, "What the directory says".
extension Recovery {
    private enum Opened {
        case live(SegmentReader)
        case damaged(String)
    }

    mutating func loadSegments() throws {
        let listed = Dictionary(manifest.segments.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
        manifest.segments = []
        shared.removed = manifest.removed
        var found: Set<String> = []
        let names = try disk.list(StorePath.segmentDirectory).filter {
            $0.isRegularFile && StorePath.id(ofSegment: $0.name) != nil
        }
        var live: [StoredSegment] = []
        for entry in names {
            let path = "\(StorePath.segmentDirectory)/\(entry.name)"
            found.insert(path)
            if let segment = try load(path, id: StorePath.id(ofSegment: entry.name) ?? 0, listed: listed[path]) {
                live.append(segment)
            }
        }
        for segment in listed.values.sorted(by: { $0.id < $1.id }) where !found.contains(segment.path) {
            try missing(segment)
        }
        try settle(live)
    }

    /// One file of the folder; nil when it is not live.
    private mutating func load(_ path: String, id: UInt64, listed: ManifestSegment?) throws -> StoredSegment? {
        if listed == nil, !report.isManifestRebuilt, id < manifest.nextSegmentID {
            try disk.remove(path)
            report.segmentsUnlinked += 1
            return nil
        }
        nextSegmentID = max(nextSegmentID, id &+ 1)
        switch try open(path) {
        case .live(let reader):
            if listed == nil {
                report.segmentsAdopted += 1
                shared.removed.deleted &+= reader.summary.omittedCount
            }
            return StoredSegment(entry: ManifestSegment(reader.identity, reader.summary), reader: reader)
        case .damaged(let reason):
            problem("\(reason); moved to quarantine")
            try moveAway(path)
            // What the manifest does not know is still in the WAL.
            shared.removed.quarantined &+= listed?.spanCount ?? 0
            return nil
        }
    }

    private func open(_ path: String) throws -> Opened {
        do throws(SegmentError) {
            let reader = try SegmentReader(file: segmentFiles.file(path), name: path, inflater: inflater)
            guard reader.identity.storeID == manifest.storeID else { return .damaged("\(path) is of another store") }
            return .live(reader)
        } catch {
            switch error {
            case .unsupported: throw StoreOpenError.unknownFormat(path: path, major: 0)
            // An error of the medium may pass: the start is refused, nothing is moved.
            case .disk(let error) where !error.isTooShort: throw error
            case .disk, .damaged: return .damaged("\(error)")
            }
        }
    }

    private mutating func missing(_ segment: ManifestSegment) throws {
        let name = String(segment.path.split(separator: "/").last ?? "")
        let isKept = try disk.list(StorePath.quarantineDirectory).contains { $0.name == name }
        if isKept {
            shared.removed.quarantined &+= segment.spanCount
        } else {
            shared.removed.lost &+= segment.spanCount
            report.losses.append(
                Loss(
                    firstSequence: segment.firstSequence, lastSequence: segment.lastSequence,
                    spans: segment.spanCount))
        }
        problem("segment \(name) with \(segment.spanCount) spans is \(isKept ? "in quarantine" : "missing")")
    }

    /// Whether a segment is of a merge that did not come to its end: not all results are there, all inputs are.
    private func isUnfinished(_ identity: SegmentIdentity, _ present: Set<UInt64>) -> Bool {
        report.isManifestRebuilt && !identity.siblings.isEmpty && !present.isSuperset(of: identity.siblings)
            && present.isSuperset(of: identity.replaces)
    }

    /// Drops what a live segment replaces, and counts.
    private mutating func settle(_ candidates: [StoredSegment]) throws {
        let present = Set(candidates.map(\.entry.id))
        let unfinished = Set(candidates.filter { isUnfinished($0.reader.identity, present) }.map(\.entry.id))
        let replaced = unfinished.union(
            candidates.filter { !unfinished.contains($0.entry.id) }.flatMap(\.reader.identity.replaces))
        var live: [StoredSegment] = []
        for segment in candidates.sorted(by: { $0.entry.id < $1.entry.id }) {
            if replaced.contains(segment.entry.id) {
                try disk.remove(segment.reader.name)
                report.segmentsUnlinked += 1
                continue
            }
            live.append(segment)
            manifest.sealedSequence = max(manifest.sealedSequence, segment.entry.lastSequence)
        }
        shared.start(with: live)
        if report.segmentsUnlinked > 0 { try disk.syncDirectory(StorePath.segmentDirectory) }
        manifest.segments = shared.segments.map(\.entry).sorted { $0.id < $1.id }
        manifest.removed = shared.removed
        report.segments = shared.segments.count
        shared.stored = manifest.liveSpans &+ manifest.removed.total
        if report.isManifestRebuilt { problem("MANIFEST was damaged or missing and is made anew") }
    }
}

extension DiskError {
    /// Bytes that should be there are not: the file is damaged, the medium is not.
    var isTooShort: Bool { code == Self.unexpectedEnd }
}
