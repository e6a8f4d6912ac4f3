/// What the indexes of one block, an input of a merge, mean in the block that is gathered: found once each, and not
/// once a span.
final class BlockTranslation {
    var names = TextTranslation()
    var traceStates = TextTranslation()
    var statusMessages = TextTranslation()
    var eventNames = TextTranslation()
    var linkTraceStates = TextTranslation()
    var attributes = OwnerTranslation()
    var eventAttributes = OwnerTranslation()
    var linkAttributes = OwnerTranslation()

    /// Begins anew, for another block on either side.
    func begin(_ source: BlockColumns) {
        names.begin(source.names.valueCount)
        traceStates.begin(source.traceStates.valueCount)
        statusMessages.begin(source.statusMessages.valueCount)
        if let columns = source.attributes { attributes.begin(columns) }
        if let events = source.events {
            eventNames.begin(events.names.valueCount)
            if let columns = events.attributes { eventAttributes.begin(columns) }
        }
        if let links = source.links {
            linkTraceStates.begin(links.traceStates.valueCount)
            if let columns = links.attributes { linkAttributes.begin(columns) }
        }
    }
}

/// A value that is known on the other side: 0, or 1 + its index there and, 32 bits higher, its bytes.
struct KnownText: BitwiseCopyable {
    private var bits: UInt64

    static let none = KnownText(bits: 0)

    private init(bits: UInt64) { self.bits = bits }

    @inline(__always)
    init(index: Int, size: Int) {
        bits = UInt64(truncatingIfNeeded: size) << 32 | UInt64(UInt32(truncatingIfNeeded: index &+ 1))
    }

    @inline(__always)
    var isKnown: Bool { bits != 0 }
    @inline(__always)
    var index: UInt32 { UInt32(truncatingIfNeeded: bits) &- 1 }
    @inline(__always)
    var size: Int { Int(truncatingIfNeeded: bits >> 32) }
}

/// The values of one column of strings.
struct TextTranslation: ~Copyable {
    private var known = GrowingBuffer<KnownText>(capacity: 1)

    mutating func begin(_ count: Int) {
        known.removeAll()
        known.resize(to: count, filler: .none)
    }

    /// Appends rows of a column that was read whole, and returns their bytes.
    mutating func append(_ rows: Range<Int>, of column: StringColumn, to target: inout StringInterner) -> Int {
        if column.codes.isEmpty, !column.isPlain {
            let value = value(0, column, &target)
            target.append(index: value.index, size: value.size, count: rows.count)
            return value.size &* rows.count
        }
        var bytes = 0
        column.codes.withUnsafeBufferPointer { codes in
            for row in rows {
                let index = column.isPlain ? row : Int(codes[row])
                var value = known.base[index]
                if !value.isKnown { value = self.value(index, column, &target) }
                target.append(index: value.index, size: value.size)
                bytes &+= value.size
            }
        }
        return bytes
    }

    private mutating func value(_ index: Int, _ column: StringColumn, _ target: inout StringInterner) -> KnownText {
        if known.base[index].isKnown { return known.base[index] }
        let (start, end) = (Int(column.offsets[index]), Int(column.offsets[index + 1]))
        let place = column.bytes.withUnsafeBytes { bytes in
            // An empty column has no memory at all; nothing is read of it.
            target.index(of: (bytes.baseAddress ?? UnsafeRawPointer(target.bytes.base)) + start, end - start)
        }
        let value = KnownText(index: place, size: end - start)
        known.base[index] = value
        return value
    }
}

/// The shapes, columns and values of the attributes of one kind of owner.
struct OwnerTranslation: ~Copyable {
    /// A column on the other side, once there is one.
    struct Target: BitwiseCopyable {
        var isKnown = false
        var place: UInt16 = 0
        var text: UnsafeMutablePointer<StringInterner>?
        var numbers: UnsafeMutablePointer<GrowingBuffer<UInt64>>?
    }

    /// By shape.
    var shapes = GrowingBuffer<KnownText>(capacity: 1)
    /// By column.
    var targets = GrowingBuffer<Target>(capacity: 1)
    /// By the source's index of a string.
    var values = GrowingBuffer<KnownText>(capacity: 1)

    mutating func begin(_ source: OwnerColumns) {
        shapes.removeAll()
        shapes.resize(to: source.shapeStarts.count - 1, filler: .none)
        targets.removeAll()
        targets.resize(to: source.columns.count, filler: Target())
        values.removeAll()
        values.resize(to: source.valueCount, filler: .none)
    }
}
