/// Where a string or a nested value lies in a batch's arena.
package struct ByteSlice: Hashable, BitwiseCopyable, Sendable {
    package var offset: UInt32
    package var count: UInt32

    package init(offset: UInt32 = 0, count: UInt32 = 0) {
        self.offset = offset
        self.count = count
    }

    package static let empty = ByteSlice()
}

/// The type of an attribute's value, as stored. Numbers are part of the on-disk formats.
package enum AttributeType: UInt8, Sendable, CaseIterable {
    /// An OTLP AnyValue without a value.
    case empty = 0
    /// Slice: UTF-8.
    case string = 1
    /// Payload 0 or 1.
    case bool = 2
    /// Payload: the two's complement bits.
    case int = 3
    /// Payload: the IEEE 754 bits.
    case double = 4
    /// Slice: the bytes.
    case bytes = 5
    /// Slice: nested value, see ``NestedValue``.
    case array = 6
    /// Slice: nested value, see ``NestedValue``.
    case map = 7

    /// True when ``AttributeRow/payload`` is an arena offset rather than the value itself.
    package var isSlice: Bool {
        switch self {
        case .string, .bytes, .array, .map: true
        case .empty, .bool, .int, .double: false
        }
    }
}

/// One attribute of a span, event, link, scope or resource.
///
///     | payload u64 | count u32 | key:24, type:8 u32 |     16 bytes, little-endian
///
/// `payload` is the value, or the arena offset of `count` bytes for the slice types.
/// Source: schemas/disk/span-batch.md, "Attribute row".
package struct AttributeRow: BitwiseCopyable, Sendable {
    package var payload: UInt64
    package var count: UInt32
    private var keyAndType: UInt32

    /// The largest number of distinct keys in one batch.
    package static let keyLimit = 1 << 24

    package init(key: Int, type: AttributeType, payload: UInt64, count: UInt32 = 0) {
        self.payload = payload
        self.count = count
        self.keyAndType = UInt32(truncatingIfNeeded: key) << 8 | UInt32(type.rawValue)
    }

    package init(key: Int, type: AttributeType, slice: ByteSlice) {
        self.init(key: key, type: type, payload: UInt64(slice.offset), count: slice.count)
    }

    /// Index into ``SpanBatch/keys``.
    package var key: Int { Int(keyAndType >> 8) }
    package var rawType: UInt8 { UInt8(truncatingIfNeeded: keyAndType) }
    /// Nil only in rows read from a damaged or newer file; ``SpanBatch/validate()`` refuses those.
    package var type: AttributeType? { AttributeType(rawValue: rawType) }
    package var slice: ByteSlice { ByteSlice(offset: UInt32(truncatingIfNeeded: payload), count: count) }
}

/// Marks of a span that no protocol field carries.
package struct SpanMarks: OptionSet, Hashable, BitwiseCopyable, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The trace id came with 64 bits.
    package static let shortTraceID = SpanMarks(rawValue: 1 << 0)
    /// Zipkin `shared`: this is the server half of a span whose id the client half uses too.
    package static let shared = SpanMarks(rawValue: 1 << 1)
    /// Zipkin `debug`.
    package static let debug = SpanMarks(rawValue: 1 << 2)
    /// Attributes, events or values were cut to ``Limits``; the dropped counts say how many.
    package static let truncated = SpanMarks(rawValue: 1 << 3)
    /// The source gave no start time; `start` is the arrival.
    package static let noStart = SpanMarks(rawValue: 1 << 4)
    /// The source gave no duration; `end` equals `start`.
    package static let noDuration = SpanMarks(rawValue: 1 << 5)
    /// A text was no UTF-8; what was broken stands as U+FFFD.
    package static let repairedText = SpanMarks(rawValue: 1 << 6)
}

/// One span: 128 bytes, little-endian, without padding. Times are unix nanoseconds as received, never rewritten.
///
/// Source: schemas/disk/span-batch.md, "Span row".
package struct SpanRow: BitwiseCopyable, Sendable {
    package var traceHigh: UInt64 = 0
    package var traceLow: UInt64 = 0
    package var spanID: UInt64 = 0
    /// Zero for a root.
    package var parentID: UInt64 = 0
    package var start: UInt64 = 0
    package var end: UInt64 = 0
    package var name = ByteSlice.empty
    package var traceState = ByteSlice.empty
    package var statusMessage = ByteSlice.empty
    /// Index into ``SpanBatch/scopes``.
    package var scope: UInt32 = 0
    package var firstAttribute: UInt32 = 0
    package var attributeCount: UInt32 = 0
    package var firstEvent: UInt32 = 0
    package var eventCount: UInt32 = 0
    package var firstLink: UInt32 = 0
    package var linkCount: UInt32 = 0
    package var droppedAttributes: UInt32 = 0
    package var droppedEvents: UInt32 = 0
    package var droppedLinks: UInt32 = 0
    /// W3C trace flags and OTLP's remote bits.
    package var flags: UInt32 = 0
    /// OTLP SpanKind number as received: 0 unspecified ... 5 consumer.
    package var kind: UInt8 = 0
    /// OTLP status code as received: 0 unset, 1 ok, 2 error.
    package var status: UInt8 = 0
    package var marks = SpanMarks()
    /// How many spans this one stands for, at least 1; more only after thinning.
    package var weight: Double = 1

    package init() {}

    package var traceID: TraceID { TraceID(high: traceHigh, low: traceLow) }
    /// Nanoseconds; zero when the end lies before the start.
    package var duration: UInt64 { end > start ? end - start : 0 }
    package var attributes: Range<Int> { Int(firstAttribute)..<Int(firstAttribute) + Int(attributeCount) }
    package var events: Range<Int> { Int(firstEvent)..<Int(firstEvent) + Int(eventCount) }
    package var links: Range<Int> { Int(firstLink)..<Int(firstLink) + Int(linkCount) }
}

/// One event (Zipkin: annotation; Jaeger: log) of a span: 32 bytes.
///
/// Source: schemas/disk/span-batch.md, "Event row".
package struct EventRow: BitwiseCopyable, Sendable {
    package var time: UInt64 = 0
    package var name = ByteSlice.empty
    package var firstAttribute: UInt32 = 0
    package var attributeCount: UInt32 = 0
    package var droppedAttributes: UInt32 = 0
    package var reserved: UInt32 = 0

    package init() {}
    package var attributes: Range<Int> { Int(firstAttribute)..<Int(firstAttribute) + Int(attributeCount) }
}

/// One link of a span: 48 bytes.
///
/// Source: schemas/disk/span-batch.md, "Link row".
package struct LinkRow: BitwiseCopyable, Sendable {
    package var traceHigh: UInt64 = 0
    package var traceLow: UInt64 = 0
    package var spanID: UInt64 = 0
    package var traceState = ByteSlice.empty
    package var firstAttribute: UInt32 = 0
    package var attributeCount: UInt32 = 0
    package var droppedAttributes: UInt32 = 0
    package var flags: UInt32 = 0

    package init() {}
    package var attributes: Range<Int> { Int(firstAttribute)..<Int(firstAttribute) + Int(attributeCount) }
}

/// One resource (a process that reports): 32 bytes.
///
/// Source: schemas/disk/span-batch.md, "Resource row".
package struct ResourceRow: BitwiseCopyable, Sendable {
    package var firstAttribute: UInt32 = 0
    package var attributeCount: UInt32 = 0
    package var droppedAttributes: UInt32 = 0
    package var reserved: UInt32 = 0
    package var schemaURL = ByteSlice.empty
    /// The value of `service.name` again, for searches; empty when the resource has none.
    package var serviceName = ByteSlice.empty

    package init() {}
    package var attributes: Range<Int> { Int(firstAttribute)..<Int(firstAttribute) + Int(attributeCount) }
}

/// One instrumentation scope of one resource: 40 bytes.
///
/// Source: schemas/disk/span-batch.md, "Scope row".
package struct ScopeRow: BitwiseCopyable, Sendable {
    /// Index into ``SpanBatch/resources``.
    package var resource: UInt32 = 0
    package var firstAttribute: UInt32 = 0
    package var attributeCount: UInt32 = 0
    package var droppedAttributes: UInt32 = 0
    package var name = ByteSlice.empty
    package var version = ByteSlice.empty
    package var schemaURL = ByteSlice.empty

    package init() {}
    package var attributes: Range<Int> { Int(firstAttribute)..<Int(firstAttribute) + Int(attributeCount) }
}
