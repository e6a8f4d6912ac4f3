/// A value of an attribute, materialised.
package enum AttributeValue: Hashable, Sendable {
    case empty
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case bytes([UInt8])
    case array([AttributeValue])
    /// Keys in the order received.
    case map([Attribute])
}

package struct Attribute: Hashable, Sendable {
    package var key: String
    package var value: AttributeValue

    package init(_ key: String, _ value: AttributeValue) {
        self.key = key
        self.value = value
    }
}

/// OTLP's span kinds; the raw value is the wire number.
package enum SpanKind: UInt8, Sendable, CaseIterable {
    case unspecified = 0
    case `internal` = 1
    case server = 2
    case client = 3
    case producer = 4
    case consumer = 5

    /// `server`, `client` ...; empty for unspecified.
    package var label: String { self == .unspecified ? "" : String(describing: self) }
}

package enum SpanStatus: UInt8, Sendable, CaseIterable {
    case unset = 0
    case ok = 1
    case error = 2
}

package struct SpanEvent: Hashable, Sendable {
    package var time: UInt64
    package var name: String
    package var attributes: [Attribute]
    package var droppedAttributes: UInt32

    package init(time: UInt64, name: String, attributes: [Attribute] = [], droppedAttributes: UInt32 = 0) {
        self.time = time
        self.name = name
        self.attributes = attributes
        self.droppedAttributes = droppedAttributes
    }
}

package struct SpanLink: Hashable, Sendable {
    package var traceID: TraceID
    package var spanID: SpanID
    package var traceState: String
    package var flags: UInt32
    package var attributes: [Attribute]
    package var droppedAttributes: UInt32

    package init(
        traceID: TraceID, spanID: SpanID, traceState: String = "", flags: UInt32 = 0,
        attributes: [Attribute] = [], droppedAttributes: UInt32 = 0
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.traceState = traceState
        self.flags = flags
        self.attributes = attributes
        self.droppedAttributes = droppedAttributes
    }
}

/// The process that reported a span.
package struct Resource: Hashable, Sendable {
    package var attributes: [Attribute]
    package var droppedAttributes: UInt32
    package var schemaURL: String
    /// The value of `service.name`, or empty.
    package var serviceName: String

    package init(
        attributes: [Attribute] = [], droppedAttributes: UInt32 = 0, schemaURL: String = "", serviceName: String = ""
    ) {
        self.attributes = attributes
        self.droppedAttributes = droppedAttributes
        self.schemaURL = schemaURL
        self.serviceName = serviceName
    }
}

/// The instrumentation library that made a span.
package struct Scope: Hashable, Sendable {
    package var name: String
    package var version: String
    package var schemaURL: String
    package var attributes: [Attribute]
    package var droppedAttributes: UInt32

    package init(
        name: String = "", version: String = "", schemaURL: String = "", attributes: [Attribute] = [],
        droppedAttributes: UInt32 = 0
    ) {
        self.name = name
        self.version = version
        self.schemaURL = schemaURL
        self.attributes = attributes
        self.droppedAttributes = droppedAttributes
    }
}

/// One span as a query returns it: everything that came in, materialised. Not for hot paths.
package struct SpanRecord: Hashable, Sendable {
    package var traceID: TraceID
    package var spanID: SpanID
    /// Nil for a root.
    package var parentID: SpanID?
    package var name: String
    /// OTLP kind number as received; see ``SpanKind``.
    package var kind: UInt8
    package var start: UInt64
    package var end: UInt64
    /// OTLP status code as received; see ``SpanStatus``.
    package var status: UInt8
    package var statusMessage: String
    package var traceState: String
    package var flags: UInt32
    package var attributes: [Attribute]
    package var events: [SpanEvent]
    package var links: [SpanLink]
    package var droppedAttributes: UInt32
    package var droppedEvents: UInt32
    package var droppedLinks: UInt32
    package var marks: SpanMarks
    package var weight: Double
    package var resource: Resource
    package var scope: Scope
    /// Unix nanoseconds; see ``BatchOrigin/arrival``.
    package var arrival: UInt64

    package init(
        traceID: TraceID, spanID: SpanID, parentID: SpanID? = nil, name: String, kind: UInt8 = 0, start: UInt64,
        end: UInt64, status: UInt8 = 0, statusMessage: String = "", traceState: String = "", flags: UInt32 = 0,
        attributes: [Attribute] = [], events: [SpanEvent] = [], links: [SpanLink] = [],
        droppedAttributes: UInt32 = 0, droppedEvents: UInt32 = 0, droppedLinks: UInt32 = 0,
        marks: SpanMarks = [], weight: Double = 1, resource: Resource = Resource(), scope: Scope = Scope(),
        arrival: UInt64 = 0
    ) {
        self.traceID = traceID
        self.spanID = spanID
        self.parentID = parentID
        self.name = name
        self.kind = kind
        self.start = start
        self.end = end
        self.status = status
        self.statusMessage = statusMessage
        self.traceState = traceState
        self.flags = flags
        self.attributes = attributes
        self.events = events
        self.links = links
        self.droppedAttributes = droppedAttributes
        self.droppedEvents = droppedEvents
        self.droppedLinks = droppedLinks
        self.marks = marks
        self.weight = weight
        self.resource = resource
        self.scope = scope
        self.arrival = arrival
    }

    package var serviceName: String { resource.serviceName }
    /// Nanoseconds; zero when the end lies before the start.
    package var duration: UInt64 { end > start ? end - start : 0 }
    package var isError: Bool { status == SpanStatus.error.rawValue }
}
