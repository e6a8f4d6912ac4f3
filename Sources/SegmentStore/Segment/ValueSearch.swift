internal import Bytes
internal import Telemetry

/// What a search asks of a block's value filter before it reads any column.
///
/// The answer is no only when no span of the block can match. A condition the filter cannot judge (a key or value that
/// is not plain, a derived tag, a key alone) is taken to hold.
/// Source: schemas/disk/segment.md, "Filters".
struct ValueSearch {
    /// One tag that the filter can judge: any of these hashes must be there.
    private struct Tag {
        /// Among the span's own attributes.
        var own: [UInt64]
        /// Elsewhere: of its resource, its events, its scope.
        var other: [UInt64]
    }

    /// Nil unless service and operation are both given and plain.
    private let operation: UInt64?
    private let wantsError: Bool
    private let tags: [Tag]

    var isEmpty: Bool { operation == nil && tags.isEmpty }

    init(_ filter: SpanFilter) {
        operation = Self.operation(filter)
        wantsError = filter.error == true
        tags = filter.tags.compactMap { Self.tag($0) }
    }

    private static func operation(_ filter: SpanFilter) -> UInt64? {
        guard let service = filter.service, let name = filter.operation, ValueHash.isPlain(service),
            ValueHash.isPlain(name)
        else { return nil }
        return ValueHash.operation(service: ValueHash.text(service), name: ValueHash.text(name))
    }

    private static func tag(_ tag: SpanFilter.Tag) -> Tag? {
        guard let value = tag.value, ValueHash.isPlain(tag.key), ValueHash.isPlain(value) else { return nil }
        switch tag.key {
        case "span.kind", "otel.status_code": return nil
        case "error" where value == "true":
            var result = Tag(own: hashes(tag.key, value, .span), other: hashes(tag.key, value, .other))
            result.own.append(ValueHash.error)
            return result
        default: return Tag(own: hashes(tag.key, value, .span), other: hashes(tag.key, value, .other))
        }
    }

    /// Every form in which a value of that text may be stored.
    private static func hashes(_ key: String, _ text: String, _ place: ValueHash.Place) -> [UInt64] {
        let key = ValueHash.key(ValueHash.text(key), place)
        var result = [
            ValueHash.value(key, .string, ValueHash.text(text)), ValueHash.value(key, .opaque, 0),
        ]
        if text.isEmpty { result.append(ValueHash.value(key, .empty, 0)) }
        if text == "true" || text == "false" {
            result.append(ValueHash.value(key, .bool, text == "true" ? 1 : 0))
        }
        if let int = Int64(text) { result.append(ValueHash.value(key, .int, zigzagEncoded(int))) }
        if let double = Double(text) {
            result.append(ValueHash.value(key, .double, ValueHash.doubleBits(double.bitPattern)))
        }
        return result
    }

    /// Whether a block with this filter and these columns may have a matching span.
    func mayMatch(_ filter: UnsafeRawBufferPointer, _ entry: BlockEntry) -> Bool {
        func has(_ hash: UInt64) -> Bool { BloomFilter.mayContain(hash, in: filter) }
        var together = operation
        if operation != nil, has(ValueHash.unusualName) { together = nil }
        if let together {
            guard has(together) else { return false }
            if wantsError, !has(ValueHash.together(together, ValueHash.error)) { return false }
        }
        guard !tags.isEmpty, !has(ValueHash.unusualKey), !Self.hasSharedColumn(entry) else { return true }
        return tags.allSatisfy { tag in
            if tag.other.contains(where: has) { return true }
            return tag.own.contains { hash in
                if let together { return has(ValueHash.together(together, hash)) }
                return hash == ValueHash.error ? entry.hasError : has(hash)
            }
        }
    }

    /// Attributes in a shared column are in no filter.
    private static func hasSharedColumn(_ entry: BlockEntry) -> Bool {
        entry.columns.contains { column in
            column.id == ColumnID.shared(.span) || column.id == ColumnID.shared(.event)
                || column.id == ColumnID.shared(.resource)
        }
    }
}
