internal import Telemetry

/// Attribute keys, resources and scopes of all batches of one encoding, each distinct one once.
struct BatchTables: ~Copyable {
    /// Distinct keys; its codes map every batch's keys, one batch after another.
    private(set) var keys = StringInterner()
    /// Where each batch's keys start in the codes of ``keys``.
    private(set) var keyStarts: [Int] = []
    /// Distinct scopes with their resource; its codes map every batch's scopes, one batch after another.
    private(set) var scopes = StringInterner()
    private(set) var scopeStarts: [Int] = []
    /// For each distinct scope: its resource, and a batch and row that have it.
    private(set) var scopeRows: [(resource: Int, batch: Int, row: Int)] = []
    /// For each distinct resource: a batch and row that have it.
    private(set) var resourceRows: [(batch: Int, row: Int)] = []

    private var resources = StringInterner()
    private var scratch: GrowingBuffer<UInt8> = GrowingBuffer(capacity: 4 << 10)

    init(_ batches: [SpanBatch]) {
        for batch in batches { add(batch) }
    }

    /// Adds the next batch.
    mutating func add(_ batch: SpanBatch) {
        let index = keyStarts.count
        keyStarts.append(keys.count)
        for key in batch.keys { append(batch, key) }
        scopeStarts.append(scopes.count)
        addScopes(of: batch, index)
    }

    private mutating func append(_ batch: SpanBatch, _ key: ByteSlice) {
        batch.arena.withUnsafeBytes { arena in
            let base = arena.baseAddress ?? UnsafeRawPointer(scratch.base)
            keys.append(base + Int(key.offset), Int(key.count))
        }
    }

    private mutating func addScopes(of batch: SpanBatch, _ index: Int) {
        var resourceOf: [Int] = []
        for (row, resource) in batch.resources.enumerated() {
            scratch.removeAll()
            describe(batch, index, resource.attributes)
            describe(batch, resource.schemaURL)
            describe(batch, resource.serviceName)
            describe(UInt64(resource.droppedAttributes))
            let known = resources.distinct
            let place = resources.append(scratch.base, scratch.count)
            if place == known { resourceRows.append((batch: index, row: row)) }
            resourceOf.append(place)
        }
        for (row, scope) in batch.scopes.enumerated() {
            let resource = resourceOf.indices.contains(Int(scope.resource)) ? resourceOf[Int(scope.resource)] : 0
            scratch.removeAll()
            describe(UInt64(resource))
            describe(batch, index, scope.attributes)
            describe(batch, scope.name)
            describe(batch, scope.version)
            describe(batch, scope.schemaURL)
            describe(UInt64(scope.droppedAttributes))
            let known = scopes.distinct
            let place = scopes.append(scratch.base, scratch.count)
            if place == known { scopeRows.append((resource: resource, batch: index, row: row)) }
        }
    }

    /// Writes what makes two owners equal into `scratch`: every length goes before its bytes.
    private mutating func describe(_ value: UInt64) {
        withUnsafeBytes(of: value) { for byte in $0 { scratch.append(byte) } }
    }

    private mutating func describe(_ batch: SpanBatch, _ slice: ByteSlice) {
        describe(UInt64(slice.count))
        batch.arena.withUnsafeBufferPointer { arena in
            guard let base = arena.baseAddress else { return }
            scratch.append(base + Int(slice.offset), count: Int(slice.count))
        }
    }

    private mutating func describe(_ batch: SpanBatch, _ index: Int, _ attributes: Range<Int>) {
        describe(UInt64(attributes.count))
        for attribute in batch.attributes[attributes] {
            describe(UInt64(keys.codes.base[keyStarts[index] + attribute.key]) << 8 | UInt64(attribute.rawType))
            if attribute.type?.isSlice == true {
                describe(batch, attribute.slice)
            } else {
                describe(attribute.payload)
            }
        }
    }
}
