/// Where a batch read from a file contradicts itself.
package struct SpanBatchDefect: Error, Hashable, Sendable {
    /// Which array, in the order of schemas/disk/span-batch.md.
    package let table: String
    /// Row index in that array.
    package let row: Int

    package init(table: String, row: Int) {
        self.table = table
        self.row = row
    }
}

extension SpanBatch {
    /// Checks every index, range and slice, so that later reads cannot go out of bounds.
    ///
    /// Builders make valid batches; this is for bytes that come back from a disk.
    package func validate() throws(SpanBatchDefect) {
        for (row, slice) in keys.enumerated() where !holds(slice) { throw SpanBatchDefect(table: "keys", row: row) }
        for (row, attribute) in attributes.enumerated() {
            guard attribute.key < keys.count, let type = attribute.type,
                !type.isSlice || (attribute.payload <= UInt64(UInt32.max) && holds(attribute.slice))
            else { throw SpanBatchDefect(table: "attributes", row: row) }
        }
        for (row, resource) in resources.enumerated() {
            guard holds(resource.schemaURL), holds(resource.serviceName),
                resource.attributes.upperBound <= attributes.count
            else { throw SpanBatchDefect(table: "resources", row: row) }
        }
        for (row, scope) in scopes.enumerated() {
            guard Int(scope.resource) < resources.count, holds(scope.name), holds(scope.version),
                holds(scope.schemaURL), scope.attributes.upperBound <= attributes.count
            else { throw SpanBatchDefect(table: "scopes", row: row) }
        }
        for (row, event) in events.enumerated() {
            guard holds(event.name), event.attributes.upperBound <= attributes.count
            else { throw SpanBatchDefect(table: "events", row: row) }
        }
        for (row, link) in links.enumerated() {
            guard holds(link.traceState), link.attributes.upperBound <= attributes.count
            else { throw SpanBatchDefect(table: "links", row: row) }
        }
        for (row, span) in spans.enumerated() {
            guard Int(span.scope) < scopes.count, holds(span.name), holds(span.traceState), holds(span.statusMessage),
                span.attributes.upperBound <= attributes.count, span.events.upperBound <= events.count,
                span.links.upperBound <= links.count
            else { throw SpanBatchDefect(table: "spans", row: row) }
        }
    }

    private func holds(_ slice: ByteSlice) -> Bool {
        Int(slice.offset) + Int(slice.count) <= arena.count
    }
}
