internal import CLinux
internal import Telemetry

/// Asks for the memory of spans ahead of their turn.
///
/// A head's rows lie where they arrived, and a segment takes them in the order of traces: each span is some cache
/// misses away. Three looks ahead hide them: at the row, then at the attributes it names, then at the text these name.
struct RowPrefetch: ~Copyable {
    /// Keeps the rows where they are: a batch never changes.
    private let batches: [SpanBatch]
    /// Where the rows of each batch begin. Held apart, for reaching them through the batch costs more than a miss.
    private var spans = GrowingBuffer<UnsafePointer<SpanRow>?>()
    private var attributes = GrowingBuffer<UnsafePointer<AttributeRow>?>()
    /// Only hints: never read.
    private var arenas = GrowingBuffer<UInt>()

    private static let rowsAhead = 24
    private static let attributesAhead = 14
    private static let textAhead = 6
    /// Attributes of a span that are looked at.
    private static let mostAttributes: UInt32 = 16
    private static let lineBytes: UInt = 64

    init(_ batches: [SpanBatch]) {
        self.batches = batches
        for batch in batches {
            spans.append(batch.spans.withUnsafeBufferPointer(\.baseAddress))
            attributes.append(batch.attributes.withUnsafeBufferPointer(\.baseAddress))
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

    @inline(__always)
    private func row(_ reference: UInt64) -> UnsafePointer<SpanRow>? {
        spans.base[Int(reference >> 32)].map { $0 + Int(reference & 0xffff_ffff) }
    }

    @inline(__always)
    private func lookAtRow(_ reference: UInt64) {
        guard let row = row(reference) else { return }
        clinux_prefetch(UInt(bitPattern: row))
        clinux_prefetch(UInt(bitPattern: row) &+ Self.lineBytes)
    }

    @inline(__always)
    private func lookAtAttributes(_ reference: UInt64) {
        let batch = Int(reference >> 32)
        guard let row = row(reference), let rows = attributes.base[batch] else { return }
        let first = UInt(bitPattern: rows + Int(row.pointee.firstAttribute))
        let bytes = UInt(min(row.pointee.attributeCount, Self.mostAttributes)) &* 16
        var offset: UInt = 0
        while offset < bytes {
            clinux_prefetch(first &+ offset)
            offset &+= Self.lineBytes
        }
        clinux_prefetch(arenas.base[batch] &+ UInt(row.pointee.name.offset))
    }

    @inline(__always)
    private func lookAtText(_ reference: UInt64) {
        let batch = Int(reference >> 32)
        guard let row = row(reference), let rows = attributes.base[batch] else { return }
        let first = rows + Int(row.pointee.firstAttribute)
        for index in 0..<Int(min(row.pointee.attributeCount, Self.mostAttributes)) where first[index].count > 0 {
            clinux_prefetch(arenas.base[batch] &+ UInt(truncatingIfNeeded: first[index].payload))
        }
    }
}
