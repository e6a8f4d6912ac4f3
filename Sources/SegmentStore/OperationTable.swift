internal import Telemetry

/// The distinct (tenant, service, operation, kind) of the spans in a head, found without making a string a span.
///
/// Bounded by ``Limits/catalogOperations``; later ones are stored and searchable, but not listed.
struct OperationTable {
    private struct Entry {
        let hash: UInt64
        let tenant: UInt32
        let kind: UInt8
        let batch: SpanBatch
        let service: ByteSlice
        let name: ByteSlice
    }

    private var entries: [Entry] = []
    /// Entry index + 1, or 0; a power of two.
    private var slots = [UInt32](repeating: 0, count: 256)
    private let seed = UInt64.random(in: .min ... .max)

    mutating func insert(_ batch: SpanBatch, tenant: UInt32) {
        let serviceHashes = batch.resources.map { hash(batch, $0.serviceName, seed ^ UInt64(tenant)) }
        let scopeHashes = batch.scopes.map { serviceHashes[Int($0.resource)] }
        for span in batch.spans {
            let hash = hash(batch, span.name, scopeHashes[Int(span.scope)] ^ UInt64(span.kind) << 56)
            insert(batch, span, tenant, hash)
        }
    }

    private mutating func insert(_ batch: SpanBatch, _ span: SpanRow, _ tenant: UInt32, _ hash: UInt64) {
        let service = batch.resources[Int(batch.scopes[Int(span.scope)].resource)].serviceName
        var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
        while slots[slot] != 0 {
            let index = Int(slots[slot]) - 1
            if entries[index].hash == hash, isSame(entries[index], tenant, span, service, of: batch) { return }
            slot = (slot + 1) & (slots.count - 1)
        }
        guard entries.count < Limits.catalogOperations else { return }
        entries.append(
            Entry(hash: hash, tenant: tenant, kind: span.kind, batch: batch, service: service, name: span.name))
        slots[slot] = UInt32(truncatingIfNeeded: entries.count)
        if entries.count * 2 > slots.count { grow() }
    }

    private func isSame(
        _ entry: Entry, _ tenant: UInt32, _ span: SpanRow, _ service: ByteSlice, of batch: SpanBatch
    ) -> Bool {
        entry.tenant == tenant && entry.kind == span.kind && equal(entry.batch, entry.name, batch, span.name)
            && equal(entry.batch, entry.service, batch, service)
    }

    private mutating func grow() {
        slots = [UInt32](repeating: 0, count: slots.count * 2)
        for (index, entry) in entries.enumerated() {
            var slot = Int(truncatingIfNeeded: entry.hash) & (slots.count - 1)
            while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
            slots[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
    }

    func list(tenant: UInt32) -> [(service: String, operation: Operation)] {
        entries.filter { $0.tenant == tenant }.map { entry in
            let kind = SpanKind(rawValue: entry.kind) ?? .unspecified
            return (
                entry.batch.string(entry.service), Operation(name: entry.batch.string(entry.name), kind: kind)
            )
        }
    }

    private func equal(_ left: SpanBatch, _ a: ByteSlice, _ right: SpanBatch, _ b: ByteSlice) -> Bool {
        guard a.count == b.count else { return false }
        return left.arena.withUnsafeBytes { left in
            right.arena.withUnsafeBytes { right in
                UnsafeRawBufferPointer(rebasing: left[Int(a.offset)..<Int(a.offset) + Int(a.count)])
                    .elementsEqual(
                        UnsafeRawBufferPointer(rebasing: right[Int(b.offset)..<Int(b.offset) + Int(b.count)]))
            }
        }
    }

    private func hash(_ batch: SpanBatch, _ slice: ByteSlice, _ seed: UInt64) -> UInt64 {
        batch.arena.withUnsafeBytes { arena in
            let end = Int(slice.offset) + Int(slice.count)
            var offset = Int(slice.offset)
            var hash = seed &+ UInt64(slice.count)
            while end - offset >= 8 {
                hash = fold(hash ^ arena.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
                offset += 8
            }
            var tail: UInt64 = 0
            while offset < end {
                tail = tail << 8 | UInt64(arena[offset])
                offset += 1
            }
            return fold(hash ^ tail)
        }
    }

    @inline(__always)
    private func fold(_ value: UInt64) -> UInt64 {
        let product = (value ^ 0x9E37_79B9_7F4A_7C15).multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
        return product.high ^ product.low
    }
}
