internal import SegmentStore

/// What an inspection found, as tables for people: facts of the file, then its columns or damages.
enum InspectionTables {
    static func file(_ facts: FileFacts) -> [Table] {
        switch facts {
        case .segment(let segment, let found): [segmentTable([segment])] + columns(found, segment.summary.spanCount)
        case .wal(let wal): [walTable([wal]), damages([wal])]
        case .manifest(let manifest): [manifestTable(manifest)] + listed(manifest)
        case .meta(let meta): [pairs([("store", hex(meta.storeID)), ("created", time(meta.created))])]
        case .tombstones(let found): [tombstoneTable(found)]
        case .metricsLog(let log): [metricsTable([log])]
        case .snapshot(let snapshot):
            [
                pairs([
                    ("store", hex(snapshot.storeID)), ("created", time(snapshot.created)),
                    ("last sequence", "\(snapshot.lastSequence)"), ("spans", "\(snapshot.spans)"),
                    ("segments", "\(snapshot.segments)"), ("size", size(snapshot.bytes)),
                ])
            ]
        }
    }

    static func directory(_ facts: DirectoryFacts) -> [Table] {
        var tables: [Table] = []
        if let manifest = facts.manifest { tables.append(manifestTable(manifest)) }
        if let tombstones = facts.tombstones { tables.append(tombstoneTable(tombstones)) }
        tables += [segmentTable(facts.segments), walTable(facts.wal), damages(facts.wal)]
        tables.append(metricsTable(facts.metricsLogs))
        var others = facts.snapshots.map { ("snapshot", $0) }
        others += facts.quarantined.map { ("quarantine", "\($0.name) (\(size($0.byteCount)))") }
        tables.append(pairs(others))
        let spans = facts.segments.reduce(0) { $0 &+ $1.summary.spanCount }
        return tables.filter { !$0.isEmpty } + (facts.columns.isEmpty ? [] : columns(facts.columns, spans))
    }

    // MARK: Columns

    /// Bytes, share, bytes a span, and the same of the floor, with the sum as the last line.
    static func columns(_ columns: [ColumnFacts], _ spans: UInt64) -> [Table] {
        var table = Table([
            ("BYTES", .right), ("SHARE", .right), ("PER SPAN", .right), ("FLOOR PER SPAN", .right), ("BLOCKS", .right),
            ("COLUMN", .left),
        ])
        let total = columns.reduce(0) { $0 + $1.bytes }
        for column in columns {
            table.append([
                "\(column.bytes)", share(column.bytes, total), perSpan(Double(column.bytes), spans) ?? "-",
                column.floor.flatMap { perSpan($0, spans) } ?? "-", "\(column.blocks)", column.name,
            ])
        }
        let floor = columns.reduce(0.0) { $0 + ($1.floor ?? 0) }
        table.append([
            "\(total)", share(total, total), perSpan(Double(total), spans) ?? "-", perSpan(floor, spans) ?? "-", "",
            "all",
        ])
        return [table]
    }

    private static func share(_ part: Int, _ whole: Int) -> String {
        decimal(whole == 0 ? 0 : Double(part) / Double(whole) * 100, places: 1) + " %"
    }

    /// With three places; nil without spans.
    static func perSpan(_ bytes: Double, _ spans: UInt64) -> String? {
        spans == 0 ? nil : decimal(bytes / Double(spans), places: 3)
    }

    private static func decimal(_ value: Double, places: Int) -> String {
        let scale = places == 1 ? 10.0 : 1_000.0
        let scaled = Int64((value * scale).rounded())
        let whole = scaled / Int64(scale)
        let rest = String(scaled % Int64(scale))
        return "\(whole)." + String(repeating: "0", count: places - rest.count) + rest
    }

    // MARK: Files

    private static func segmentTable(_ segments: [SegmentFacts]) -> Table {
        var table = Table([
            ("LEVEL", .right), ("SPANS", .right), ("TRACES", .right), ("BLOCKS", .right), ("SIZE", .right),
            ("SEQUENCES", .left), ("FIRST START", .left), ("LAST START", .left), ("FILE", .left),
        ])
        for segment in segments {
            let (identity, summary) = (segment.identity, segment.summary)
            table.append([
                "\(identity.level)", "\(summary.spanCount)", "\(summary.traceCount)", "\(segment.blocks)",
                size(summary.byteCount), "\(identity.firstSequence)-\(identity.lastSequence)",
                time(summary.earliestStart), time(summary.latestStart), segment.path,
            ])
        }
        return table
    }

    private static func walTable(_ files: [WALFacts]) -> Table {
        var table = Table([
            ("SPANS", .right), ("RECORDS", .right), ("GROUPS", .right), ("WITNESSES", .right), ("SIZE", .right),
            ("SEQUENCES", .left), ("FIRST COMMIT", .left), ("LAST COMMIT", .left), ("WAL FILE", .left),
        ])
        for wal in files {
            let sequences = wal.firstSequence.flatMap { first in wal.lastSequence.map { "\(first)-\($0)" } }
            table.append([
                "\(wal.spans)", "\(wal.records)", "\(wal.groups)", "\(wal.witnesses)", size(wal.byteCount),
                sequences ?? "-", wal.firstWall.map(time) ?? "-", wal.lastWall.map(time) ?? "-", wal.path,
            ])
        }
        return table
    }

    private static func damages(_ files: [WALFacts]) -> Table {
        var table = Table([("DAMAGED BYTES", .left), ("RECORDS READABLE", .right), ("THEN", .left), ("FILE", .left)])
        for wal in files {
            for damage in wal.damages {
                let next = damage.next.map { "valid from record \($0)" } ?? "end of the file"
                table.append([
                    "\(damage.bytes.lowerBound)..<\(damage.bytes.upperBound)", "\(damage.looseRecords)", next, wal.path,
                ])
            }
        }
        return table
    }

    private static func manifestTable(_ manifest: Manifest) -> Table {
        let removed = manifest.removed
        return pairs([
            ("store", hex(manifest.storeID)), ("edition", "\(manifest.edition)"),
            ("closed in order", manifest.closedInOrder ? "yes" : "no"),
            ("clock high water", time(manifest.clockHighWater)), ("next segment", "\(manifest.nextSegmentID)"),
            ("sealed sequence", "\(manifest.sealedSequence)"), ("segments", "\(manifest.segments.count)"),
            ("stored", "\(manifest.stored)"), ("live", "\(manifest.liveSpans)"), ("expired", "\(removed.expired)"),
            ("thinned", "\(removed.thinned)"), ("deleted", "\(removed.deleted)"), ("merged", "\(removed.merged)"),
            ("quarantined", "\(removed.quarantined)"), ("lost", "\(removed.lost)"),
        ])
    }

    private static func listed(_ manifest: Manifest) -> [Table] {
        var table = Table([("SPANS", .right), ("SIZE", .right), ("LATEST ARRIVAL", .left), ("FILE", .left)])
        for row in manifest.segments {
            table.append(["\(row.spanCount)", size(row.byteCount), time(row.latestArrival), row.path])
        }
        return [table]
    }

    private static func tombstoneTable(_ found: TombstoneFacts) -> Table {
        pairs([
            ("deleted traces", "\(found.traces)"), ("last sequence", "\(found.lastSequence)"),
            ("deleted", found.created.map { "\(time($0.lowerBound)) to \(time($0.upperBound))" } ?? "-"),
        ])
    }

    private static func metricsTable(_ logs: [MetricsLogFacts]) -> Table {
        var table = Table([
            ("GROUPS", .right), ("RECORDS", .right), ("LINES", .right), ("LOST", .right), ("SIZE", .right),
            ("FIRST", .left), ("LAST", .left), ("STATE", .left), ("METRICS LOG", .left),
        ])
        for log in logs {
            let state =
                log.isCorrupt
                ? "damaged" : log.damage != nil ? "torn end" : log.hasCheckpoint ? "whole" : "no checkpoint"
            table.append([
                "\(log.groups)", "\(log.records)", "\(log.lines)", "\(log.lostLines)", size(log.byteCount),
                log.firstWall.map(time) ?? "-", log.lastWall.map(time) ?? "-", state, log.path,
            ])
        }
        return table
    }

    private static func pairs(_ rows: [(String, String)]) -> Table {
        var table = Table([("WHAT", .left), ("VALUE", .left)])
        for row in rows { table.append([row.0, row.1]) }
        return table
    }

    static func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func size(_ bytes: UInt64) -> String { NumberText.bytes(Int64(clamping: bytes)) }

    private static func time(_ nanoseconds: UInt64) -> String {
        TimestampText.format(unixNanoseconds: Int64(clamping: nanoseconds))
    }
}
