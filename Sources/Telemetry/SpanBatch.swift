/// Where a batch came from and when.
package struct BatchOrigin: Hashable, Sendable {
    package static let defaultTenant = "default"

    package var tenant: String
    /// Unix nanoseconds at which the request was complete. Order on disk and retention use this, never span times.
    package var arrival: UInt64

    package init(tenant: String = BatchOrigin.defaultTenant, arrival: UInt64) {
        self.tenant = tenant
        self.arrival = arrival
    }
}

/// An immutable batch of spans: rows of fixed size over one arena of bytes, never an object per attribute.
///
///     spans[]  ->  scopes[]  ->  resources[]
///       |  \  \-> attributes[] -> keys[] -> arena
///       |   \---> events[] --> attributes[]
///       \-------> links[]  --> attributes[]
///
/// The same batch feeds the WAL (its rows are written as they lie), the head and the seal. Shared freely.
/// Source: schemas/disk/span-batch.md.
package final class SpanBatch: Sendable {
    package let origin: BatchOrigin
    package let spans: [SpanRow]
    package let attributes: [AttributeRow]
    package let events: [EventRow]
    package let links: [LinkRow]
    package let scopes: [ScopeRow]
    package let resources: [ResourceRow]
    /// Distinct attribute keys.
    package let keys: [ByteSlice]
    package let arena: [UInt8]

    package init(
        origin: BatchOrigin, spans: [SpanRow], attributes: [AttributeRow], events: [EventRow],
        links: [LinkRow], scopes: [ScopeRow], resources: [ResourceRow], keys: [ByteSlice], arena: [UInt8]
    ) {
        self.origin = origin
        self.spans = spans
        self.attributes = attributes
        self.events = events
        self.links = links
        self.scopes = scopes
        self.resources = resources
        self.keys = keys
        self.arena = arena
    }

    /// Bytes held by rows and arena.
    package var byteCount: Int {
        spans.count * MemoryLayout<SpanRow>.stride + attributes.count * MemoryLayout<AttributeRow>.stride
            + events.count * MemoryLayout<EventRow>.stride + links.count * MemoryLayout<LinkRow>.stride
            + scopes.count * MemoryLayout<ScopeRow>.stride + resources.count * MemoryLayout<ResourceRow>.stride
            + keys.count * MemoryLayout<ByteSlice>.stride + arena.count
    }

    /// A slice as text; invalid UTF-8 cannot be in a batch, so nothing is repaired here.
    package func string(_ slice: ByteSlice) -> String {
        let range = Int(slice.offset)..<Int(slice.offset) + Int(slice.count)
        return String(decoding: arena[range], as: UTF8.self)
    }

    package func bytes(_ slice: ByteSlice) -> ArraySlice<UInt8> {
        arena[Int(slice.offset)..<Int(slice.offset) + Int(slice.count)]
    }

    /// Whether a slice equals `text`, without copying either.
    package func slice(_ slice: ByteSlice, equals text: [UInt8]) -> Bool {
        guard Int(slice.count) == text.count else { return false }
        let start = Int(slice.offset)
        return arena.withUnsafeBufferPointer { arena in
            text.withUnsafeBufferPointer { text in
                for index in 0..<text.count where arena[start + index] != text[index] { return false }
                return true
            }
        }
    }
}
