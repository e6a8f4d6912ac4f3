internal import SegmentStore

/// What an inspection found, as JSON. Numbers are exact; times are RFC 3339.
enum InspectionJSON {
    private typealias Member = (key: String, value: JSONValue)

    static func file(_ facts: FileFacts, _ path: String) -> JSONValue {
        switch facts {
        case .segment(let segment, let columns):
            object("segment", path, segmentMembers(segment) + [("columns", list(columns, segment.summary.spanCount))])
        case .wal(let wal): object("wal", path, walMembers(wal))
        case .manifest(let manifest): object("manifest", path, manifestMembers(manifest))
        case .meta(let meta):
            object("meta", path, [("storeID", hex(meta.storeID)), ("created", time(meta.created))])
        case .tombstones(let tombstones): object("tombstones", path, tombstoneMembers(tombstones))
        case .metricsLog(let log): object("metricsLog", path, metricsMembers(log))
        case .snapshot(let snapshot):
            object(
                "snapshot", path,
                [
                    ("storeID", hex(snapshot.storeID)), ("created", time(snapshot.created)),
                    ("lastSequence", number(snapshot.lastSequence)), ("spans", number(snapshot.spans)),
                    ("segments", number(snapshot.segments)), ("bytes", number(snapshot.bytes)),
                ])
        }
    }

    static func directory(_ facts: DirectoryFacts, _ path: String) -> JSONValue {
        let spans = facts.segments.reduce(0) { $0 &+ $1.summary.spanCount }
        let meta = facts.meta.map { JSONValue.object([("storeID", hex($0.storeID)), ("created", time($0.created))]) }
        let manifest = facts.manifest.map { JSONValue.object(manifestMembers($0)) }
        let tombstones = facts.tombstones.map { JSONValue.object(tombstoneMembers($0)) }
        let segments = facts.segments.map { row($0.path, segmentMembers($0)) }
        let wal = facts.wal.map { row($0.path, walMembers($0)) }
        let logs = facts.metricsLogs.map { row($0.path, metricsMembers($0)) }
        var members: [Member] = [
            ("meta", meta ?? .null), ("manifest", manifest ?? .null), ("tombstones", tombstones ?? .null),
            ("segments", .array(segments)), ("wal", .array(wal)), ("metricsLogs", .array(logs)),
            ("snapshots", .array(facts.snapshots.map { JSONValue.string($0) })),
            ("quarantine", .array(facts.quarantined.map { JSONValue.string($0.name) })),
            ("unreadable", .array(facts.unreadable.map { JSONValue.string($0.description) })),
        ]
        if !facts.columns.isEmpty { members.append(("columns", list(facts.columns, spans))) }
        return object("directory", path, members)
    }

    // MARK: Parts

    private static func object(_ kind: String, _ path: String, _ members: [Member]) -> JSONValue {
        let head: [Member] = [("kind", .string(kind)), ("path", .string(path))]
        return .object(head + members)
    }

    private static func row(_ path: String, _ members: [Member]) -> JSONValue {
        let file: [Member] = [("file", .string(path))]
        return .object(file + members)
    }

    private static func number(_ value: some BinaryInteger) -> JSONValue { .number("\(value)") }
    private static func optional(_ value: UInt64?) -> JSONValue { value.map { JSONValue.number("\($0)") } ?? .null }
    private static func time(_ value: UInt64?) -> JSONValue {
        value.map { JSONValue.string(TimestampText.format(unixNanoseconds: Int64(clamping: $0))) } ?? .null
    }
    private static func hex(_ bytes: [UInt8]) -> JSONValue { .string(InspectionTables.hex(bytes)) }

    private static func segmentMembers(_ segment: SegmentFacts) -> [Member] {
        let (identity, summary) = (segment.identity, segment.summary)
        return [
            ("id", number(identity.id)), ("level", number(identity.level)),
            ("firstSequence", number(identity.firstSequence)), ("lastSequence", number(identity.lastSequence)),
            ("replaces", .array(identity.replaces.map { number($0) })), ("blocks", number(segment.blocks)),
            ("spans", number(summary.spanCount)), ("traces", number(summary.traceCount)),
            ("bytes", number(summary.byteCount)), ("earliestStart", time(summary.earliestStart)),
            ("latestStart", time(summary.latestStart)), ("earliestArrival", time(summary.earliestArrival)),
            ("latestArrival", time(summary.latestArrival)),
        ]
    }

    private static func list(_ columns: [ColumnFacts], _ spans: UInt64) -> JSONValue {
        .array(
            columns.map { column in
                let perSpan = InspectionTables.perSpan(Double(column.bytes), spans)
                return .object([
                    ("column", .string(column.name)), ("bytes", number(column.bytes)),
                    ("floorBytes", column.floor.map { number(Int64($0.rounded())) } ?? .null),
                    ("bytesPerSpan", perSpan.map { JSONValue.number($0) } ?? .null), ("blocks", number(column.blocks)),
                ])
            })
    }

    private static func walMembers(_ wal: WALFacts) -> [Member] {
        [
            ("bytes", number(wal.byteCount)), ("headerFirstSequence", optional(wal.header?.firstSequence)),
            ("spansBefore", optional(wal.header?.spansBefore)), ("groups", number(wal.groups)),
            ("witnesses", number(wal.witnesses)), ("records", number(wal.records)), ("spans", number(wal.spans)),
            ("firstSequence", optional(wal.firstSequence)), ("lastSequence", optional(wal.lastSequence)),
            ("firstCommit", time(wal.firstWall)), ("lastCommit", time(wal.lastWall)),
            (
                "damages",
                .array(
                    wal.damages.map { damage in
                        .object([
                            ("firstByte", number(damage.bytes.lowerBound)),
                            ("endByte", number(damage.bytes.upperBound)),
                            ("readableRecords", number(damage.looseRecords)), ("followed", .bool(damage.next != nil)),
                        ])
                    })
            ),
        ]
    }

    private static func manifestMembers(_ manifest: Manifest) -> [Member] {
        let removed = manifest.removed
        return [
            ("storeID", hex(manifest.storeID)), ("edition", number(manifest.edition)),
            ("closedInOrder", .bool(manifest.closedInOrder)), ("clockHighWater", time(manifest.clockHighWater)),
            ("nextSegmentID", number(manifest.nextSegmentID)), ("sealedSequence", number(manifest.sealedSequence)),
            ("segments", number(manifest.segments.count)), ("stored", number(manifest.stored)),
            ("live", number(manifest.liveSpans)), ("expired", number(removed.expired)),
            ("thinned", number(removed.thinned)), ("deleted", number(removed.deleted)),
            ("merged", number(removed.merged)), ("quarantined", number(removed.quarantined)),
            ("lost", number(removed.lost)),
        ]
    }

    private static func tombstoneMembers(_ tombstones: TombstoneFacts) -> [Member] {
        [
            ("traces", number(tombstones.traces)), ("lastSequence", number(tombstones.lastSequence)),
            ("earliest", time(tombstones.created?.lowerBound)), ("latest", time(tombstones.created?.upperBound)),
        ]
    }

    private static func metricsMembers(_ log: MetricsLogFacts) -> [Member] {
        [
            ("bytes", number(log.byteCount)), ("number", number(log.number)), ("life", number(log.life)),
            ("groups", number(log.groups)), ("records", number(log.records)), ("checkpoint", .bool(log.hasCheckpoint)),
            ("firstGroup", time(log.firstWall)), ("lastGroup", time(log.lastWall)), ("lines", number(log.lines)),
            ("lostLines", number(log.lostLines)), ("unusableFrom", optional(log.damage?.lowerBound)),
            ("corrupt", .bool(log.isCorrupt)),
        ]
    }
}
