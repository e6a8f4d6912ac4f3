internal import CLinux
internal import Telemetry

/// Asks for the memory of spans ahead of their turn.
///
/// A head's rows lie where they arrived, and a segment takes them in the order of traces: each span is some cache
/// misses away. Three looks ahead hide them: at the row, then at the attributes it names, then at the text these name.
struct RowPrefetch: ~Copyable {
    private let batches: [SpanBatch]
    /// Where the rows of each batch begin. Only hints: never read.
    private var spans = GrowingBuffer<UInt>()
    private var attributes = GrowingBuffer<UInt>()
    private var arenas = GrowingBuffer<UInt>()

    private static let rowsAhead = 24
    private static let attributesAhead = 14
    private static let textAhead = 6
    /// Attributes of a span that are looked at.
    private static let mostAttributes = 16
    private static let lineBytes: UInt = 64

    init(_ batches: [SpanBatch]) {
        self.batches = batches
        for batch in batches {
            spans.append(batch.spans.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) })
            attributes.append(batch.attributes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) })
            arenas.append(batch.arena.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) })
        }
    }

    /// Call it for every place in turn. `order` has batch index << 32 | row index.
    @inline(__always)
    func look(ahead place: Int, in order: UnsafeBufferPointer<UInt64>) {
        if place + Self.rowsAhead < order.count { lookAtRow(order[place + Self.rowsAhead]) }
        if place + Self.attributesAhead < order.count { lookAtAttributes(order[place + Self.attributesAhead]) }
        if place + Self.textAhead < order.count { lookAtText(order[place + Self.textAhead]) }
    }

    private func lookAtRow(_ reference: UInt64) {
        let stride = UInt(MemoryLayout<SpanRow>.stride)
        let address = spans.base[Int(reference >> 32)] &+ UInt(reference & 0xffff_ffff) &* stride
        clinux_prefetch(address)
        clinux_prefetch(address &+ Self.lineBytes)
    }

    private func lookAtAttributes(_ reference: UInt64) {
        let batch = Int(reference >> 32)
        batches[batch].spans.withUnsafeBufferPointer { spans in
            let row = Int(reference & 0xffff_ffff)
            let first = UInt(spans[row].firstAttribute)
            let count = min(UInt(spans[row].attributeCount), UInt(Self.mostAttributes))
            let stride = UInt(MemoryLayout<AttributeRow>.stride)
            var address = attributes.base[batch] &+ first &* stride
            let end = address &+ count &* stride
            while address < end {
                clinux_prefetch(address)
                address &+= Self.lineBytes
            }
            clinux_prefetch(arenas.base[batch] &+ UInt(spans[row].name.offset))
        }
    }

    private func lookAtText(_ reference: UInt64) {
        let batch = Int(reference >> 32)
        let arena = arenas.base[batch]
        let range = batches[batch].spans.withUnsafeBufferPointer { spans in
            spans[Int(reference & 0xffff_ffff)].attributes
        }
        batches[batch].attributes.withUnsafeBufferPointer { attributes in
            for index in range.prefix(Self.mostAttributes) {
                guard attributes[index].count > 0 else { continue }
                clinux_prefetch(arena &+ UInt(truncatingIfNeeded: attributes[index].payload))
            }
        }
    }
}
