internal import Telemetry

/// A span of Zipkin's version 1 as far as it has been read: both sides of a call may be in it, told apart by the
/// endpoint of every annotation. Common to the JSON and the thrift decoder.
///
/// Source: schemas/wire/zipkin-v1.md.
struct ZipkinV1Span {
    struct Annotation {
        /// Microseconds; 0 for absent.
        var time: UInt64
        var value: String
        var endpoint: ZipkinEndpoint?
    }

    /// A binary annotation: a tag, or the address of the other side.
    struct Tag {
        var key: String
        var value: AttributeValue
        var endpoint: ZipkinEndpoint?
    }

    /// What all spans of version 2 made of this one have in common: ids, name, marks, drops.
    var shared: ZipkinSpanDraft
    /// Microseconds; 0 for absent.
    var timestamp: UInt64 = 0
    var duration: UInt64 = 0
    private(set) var annotations: [Annotation] = []
    private(set) var tags: [Tag] = []
    /// Whether a field only version 1, or only version 2 has was seen.
    var hasVersion1Field = false
    var hasVersion2Field = false

    init(arrival: UInt64) { shared = ZipkinSpanDraft(arrival: arrival) }

    var isVersion2: Bool { hasVersion2Field && !hasVersion1Field }

    /// Takes an annotation; one without a value or one too many is dropped and counted.
    mutating func addAnnotation(_ time: UInt64, _ value: String?, _ endpoint: ZipkinEndpoint?) {
        guard let value, annotations.count < Limits.eventsPerSpan else {
            shared.droppedEvents &+= 1
            shared.marks.insert(.truncated)
            return
        }
        annotations.append(Annotation(time: time, value: value, endpoint: endpoint))
    }

    /// Takes a binary annotation; one without key or value or one too many is dropped and counted.
    mutating func addTag(_ key: String, _ value: AttributeValue?, _ endpoint: ZipkinEndpoint?) {
        guard let value, !key.isEmpty, tags.count < Limits.attributesPerSpan - ZipkinEndpoint.attributeLimit else {
            shared.droppedTags &+= 1
            shared.marks.insert(.truncated)
            return
        }
        tags.append(Tag(key: key, value: value, endpoint: endpoint))
    }
}

/// One side of a call or message, while a span of version 1 is taken apart.
struct ZipkinV1Half {
    var local: ZipkinEndpoint?
    var remote: ZipkinEndpoint?
    var kind = SpanKind.unspecified
    /// Microseconds; 0 for absent.
    var timestamp: UInt64 = 0
    var duration: UInt64 = 0
    var isShared = false
    var annotations: [ZipkinV1Span.Annotation] = []
    var tags: [ZipkinV1Span.Tag] = []

    /// The span of version 2.
    func span(_ shared: ZipkinSpanDraft) -> ZipkinSpanDraft {
        var span = shared
        span.kind = kind
        (span.timestamp, span.duration) = (timestamp, duration)
        if let local {
            span.service = local.serviceName
            span.localEndpoint = local.attributes(.local)
        }
        span.remoteEndpoint = remote?.attributes(.remote) ?? []
        if isShared { span.marks.insert(.shared) }
        for annotation in annotations { span.addAnnotation(annotation.time, annotation.value) }
        for tag in tags { span.addTag(tag.key, tag.value) }
        return span
    }
}
