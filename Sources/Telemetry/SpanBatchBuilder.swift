/// Collects rows and bytes into a ``SpanBatch``. Decoders own one builder per request.
///
/// Contract: the attributes of one owner are appended one after another, without those of another owner between;
/// the same holds for a span's events and links. Nothing here can trap on input: a batch whose arena would pass
/// `UInt32.max` bytes is refused by the body limit long before.
package struct SpanBatchBuilder: ~Copyable {
    package var spans: [SpanRow] = []
    package var attributes: [AttributeRow] = []
    package var events: [EventRow] = []
    package var links: [LinkRow] = []
    package var scopes: [ScopeRow] = []
    package var resources: [ResourceRow] = []
    package private(set) var keys: [ByteSlice] = []
    package var arena: [UInt8] = []
    /// Open addressing over `keys`: key index + 1, or 0 for a free slot. The size is a power of two.
    private var keySlots = [UInt32](repeating: 0, count: 64)

    package init() {}

    /// Reserves for a body of `bodyBytes` OTLP-like bytes (about 420 a span).
    package mutating func reserve(forBodyBytes bodyBytes: Int) {
        let spanGuess = bodyBytes / 320 + 1
        spans.reserveCapacity(spanGuess)
        attributes.reserveCapacity(spanGuess * 12)
        arena.reserveCapacity(bodyBytes / 2)
    }

    /// Copies `bytes` into the arena.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) -> ByteSlice {
        guard bytes.count > 0 else { return .empty }
        let offset = UInt32(truncatingIfNeeded: arena.count)
        arena.append(contentsOf: bytes)
        return ByteSlice(offset: offset, count: UInt32(truncatingIfNeeded: bytes.count))
    }

    package mutating func append(_ bytes: [UInt8]) -> ByteSlice {
        bytes.withUnsafeBytes { append($0) }
    }

    package mutating func append(_ text: String) -> ByteSlice {
        var text = text
        return text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
    }

    /// The index of an attribute key, added on first sight.
    package mutating func key(_ bytes: UnsafeRawBufferPointer) -> Int {
        var slot = Int(truncatingIfNeeded: keyHash(bytes)) & (keySlots.count - 1)
        while true {
            let entry = keySlots[slot]
            if entry == 0 { break }
            if matches(keys[Int(entry) - 1], bytes) { return Int(entry) - 1 }
            slot = (slot + 1) & (keySlots.count - 1)
        }
        let index = keys.count
        keys.append(append(bytes))
        keySlots[slot] = UInt32(truncatingIfNeeded: index + 1)
        if keys.count * 2 > keySlots.count { growKeySlots() }
        return index
    }

    package mutating func key(_ text: String) -> Int {
        var text = text
        return text.withUTF8 { key(UnsafeRawBufferPointer($0)) }
    }

    private func matches(_ slice: ByteSlice, _ bytes: UnsafeRawBufferPointer) -> Bool {
        guard Int(slice.count) == bytes.count else { return false }
        let start = Int(slice.offset)
        return arena.withUnsafeBytes { arena in
            for index in 0..<bytes.count where arena[start + index] != bytes[index] { return false }
            return true
        }
    }

    private mutating func growKeySlots() {
        var larger = [UInt32](repeating: 0, count: keySlots.count * 4)
        for (index, slice) in keys.enumerated() {
            let start = Int(slice.offset)
            let hash = arena.withUnsafeBytes {
                keyHash(UnsafeRawBufferPointer(rebasing: $0[start..<start + Int(slice.count)]))
            }
            var slot = Int(truncatingIfNeeded: hash) & (larger.count - 1)
            while larger[slot] != 0 { slot = (slot + 1) & (larger.count - 1) }
            larger[slot] = UInt32(truncatingIfNeeded: index + 1)
        }
        keySlots = larger
    }

    /// Freezes the rows; the builder is spent. What was reserved in vain is given back: a batch may lie in a head for long,
    /// and a head counts what is used.
    package consuming func finish(_ origin: BatchOrigin) -> SpanBatch {
        SpanBatch(
            origin: origin, spans: fitted(spans), attributes: fitted(attributes), events: fitted(events),
            links: fitted(links), scopes: scopes, resources: resources, keys: keys, arena: fitted(arena))
    }
}

/// The rows in an array of their size where the one they are in has more than an eighth to spare.
private func fitted<Row: BitwiseCopyable>(_ rows: [Row]) -> [Row] {
    let spare = rows.capacity - rows.count
    guard spare > rows.capacity / 8, spare * MemoryLayout<Row>.stride > 1_024 else { return rows }
    return Array(unsafeUninitializedCapacity: rows.count) { buffer, count in
        _ = buffer.initialize(from: rows)
        count = rows.count
    }
}

/// Mixes length, head and tail of a key; keyed per process so that a stranger cannot aim for one slot.
private func keyHash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = keySeed ^ UInt64(truncatingIfNeeded: bytes.count) &* 0x9E37_79B9_7F4A_7C15
    var offset = 0
    while bytes.count - offset >= 8 {
        hash = mix(hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
        offset += 8
    }
    var tail: UInt64 = 0
    while offset < bytes.count {
        tail = tail << 8 | UInt64(bytes[offset])
        offset += 1
    }
    hash = mix(hash ^ tail)
    return hash ^ hash >> 32
}

@inline(__always)
private func mix(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
}

private let keySeed = UInt64.random(in: .min ... .max)
