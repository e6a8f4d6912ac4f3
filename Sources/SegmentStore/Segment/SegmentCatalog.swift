internal import Bytes
internal import Telemetry

/// A service with one of its operations, as a segment lists them.
struct CatalogEntry: Hashable, Sendable {
    var tenant: Int
    var service: [UInt8]
    var operation: [UInt8]
    var kind: UInt8
}

/// Collects the services and operations of a segment, at most ``SegmentFormat/catalogEntries``.
struct CatalogBuilder: ~Copyable {
    private var seen: Set<CatalogEntry> = []
    /// In order of first use, so that equal input makes equal files.
    private(set) var entries: [CatalogEntry] = []
    private(set) var isComplete = true
    /// Combinations met lately, by hash, so that most rows cost one comparison. Value + 1; 0 is free.
    private var recent: GrowingBuffer<UInt64>
    private static let recentCount = 4_096

    init() {
        recent = GrowingBuffer(capacity: Self.recentCount)
        recent.resize(to: Self.recentCount, filler: 0)
    }

    /// Adds what a finished block holds.
    mutating func add(_ block: borrowing BlockBuilder) {
        recent.removeAll()
        recent.resize(to: Self.recentCount, filler: 0)
        let names = block.strings[Int(ColumnID.name)].codes.buffer
        let scopes = block.integers[Int(ColumnID.scope)].buffer
        let kinds = block.integers[Int(ColumnID.kind)].buffer
        for row in 0..<names.count {
            let combination = UInt64(names[row]) << 32 | scopes[row] << 8 | kinds[row]
            let slot = Int(truncatingIfNeeded: mixed(combination ^ 0x9E37_79B9_7F4A_7C15)) & (Self.recentCount - 1)
            if recent.base[slot] == combination &+ 1 { continue }
            recent.base[slot] = combination &+ 1
            add(block, name: Int(names[row]), scope: Int(scopes[row]), kind: kinds[row])
        }
    }

    private mutating func add(_ block: borrowing BlockBuilder, name: Int, scope: Int, kind: UInt64) {
        let resource = Int(block.integers[Int(ColumnID.scopeResource)].base[scope])
        let service = Int(block.strings[Int(ColumnID.resourceService)].codes.base[resource])
        let entry = CatalogEntry(
            tenant: block.entry.tenant, service: Array(block.strings[Int(ColumnID.resourceService)].value(service)),
            operation: Array(block.strings[Int(ColumnID.name)].value(name)), kind: UInt8(truncatingIfNeeded: kind))
        guard !seen.contains(entry) else { return }
        guard entries.count < SegmentFormat.catalogEntries else {
            isComplete = false
            return
        }
        seen.insert(entry)
        entries.append(entry)
    }
}
