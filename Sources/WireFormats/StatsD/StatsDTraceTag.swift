package import Telemetry

/// Takes a trace id out of a line's tags, so that what is left names the series and the id becomes an exemplar.
///
///     order.time:12|ms|#sku:1,trace_id:4bf92f3577b34da6a3ce929d0e0e4736,region:eu   ->   #sku:1,region:eu
///
/// The keys are `trace_id`, `traceID` and `trace.id`, in every tag style. Looked for only in lines whose bytes no
/// receiver knows, so that lines without a trace id pay nothing. The buffers are reused from line to line.
/// Source: schemas/wire/statsd.md, "Trace ids".
package struct StatsDTraceTag: Sendable {
    /// The name and the tags without the trace id.
    package private(set) var name: [UInt8] = []
    package private(set) var tags: [UInt8] = []
    /// Nil when what was sent is not 1 to 32 hexadecimal digits: then there is no exemplar.
    package private(set) var traceID: TraceID?

    package init() {}

    /// - Returns: whether there was a trace id to take out.
    package mutating func take(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer) -> Bool {
        traceID = nil
        self.name.removeAll(keepingCapacity: true)
        self.tags.removeAll(keepingCapacity: true)
        let inTags = copy(tags, separator: 0x2c, assignment: 0x3a, to: \.tags)
        let inName = copyName(name)
        return inTags || inName
    }

    private mutating func copyName(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard let mark = bytes.firstIndex(where: { $0 == 0x2c || $0 == 0x23 || $0 == 0x3b || $0 == 0x5b }) else {
            name.append(contentsOf: bytes)
            return false
        }
        var list = bytes[(mark + 1)...]
        var tail = bytes[bytes.endIndex...]
        if bytes[mark] == 0x5b, let close = list.firstIndex(of: 0x5d) {  // [ ]
            tail = bytes[close...]
            list = list[..<close]
        }
        name.append(contentsOf: bytes[...mark])
        let separator: UInt8 = bytes[mark] == 0x3b ? 0x3b : 0x2c
        let rest = UnsafeRawBufferPointer(rebasing: list)
        let found = copy(rest, separator: separator, assignment: 0x3d, to: \.name)
        name.append(contentsOf: tail)
        return found
    }

    /// Copies a list of tags but for those that hold a trace id.
    private mutating func copy(
        _ bytes: UnsafeRawBufferPointer, separator: UInt8, assignment: UInt8,
        to target: WritableKeyPath<StatsDTraceTag, [UInt8]>
    ) -> Bool {
        var found = false
        var isFirst = true
        for tag in bytes.split(separator: separator, omittingEmptySubsequences: false) {
            if let mark = tag.firstIndex(of: assignment), Self.isTraceKey(tag[..<mark]) {
                found = true
                traceID = TraceID(hex: tag[(mark + 1)...]).flatMap { $0.isZero ? nil : $0 } ?? traceID
                continue
            }
            if !isFirst { self[keyPath: target].append(separator) }
            self[keyPath: target].append(contentsOf: tag)
            isFirst = false
        }
        return found
    }

    private static func isTraceKey(_ key: Slice<UnsafeRawBufferPointer>) -> Bool {
        switch key.count {
        case 7: key.elementsEqual("traceID".utf8)
        case 8: key.elementsEqual("trace_id".utf8) || key.elementsEqual("trace.id".utf8)
        default: false
        }
    }
}
