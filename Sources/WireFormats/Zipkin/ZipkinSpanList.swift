internal import Bytes
internal import Telemetry

/// Zipkin spans on their way into a batch: one resource a service name, and the account of the refused ones.
///
/// Shared by the JSON, protobuf and thrift decoders, so that all refuse the same spans.
struct ZipkinSpanList: ~Copyable {
    private var builder = SpanBatchBuilder()
    /// Scope rows by service name.
    private var scopes: [String: Int] = [:]
    private var received = 0
    private var rejections = RejectionCount()

    /// Adds a span, or counts why it is refused.
    /// - Parameters:
    ///   - bytes: what the span took in the body.
    ///   - index: its place in the list, for messages.
    mutating func add(_ span: ZipkinSpanDraft, bytes: Int, at index: Int) {
        received += 1
        if bytes > Limits.spanBytes { return rejections.add(.spanTooLarge, at: "[\(index)]") }
        if let defect = span.defect { return rejections.add(defect, at: "[\(index)]") }
        guard let record = span.record else { return rejections.add(.malformed, at: "[\(index)].timestamp") }
        builder.append(record, scope: scope(of: span.service))
    }

    /// Adds the spans that a span of version 1 stands for; each counts as received.
    mutating func add(_ span: ZipkinV1Span, bytes: Int, at index: Int) {
        if bytes > Limits.spanBytes { return reject(.spanTooLarge, message: "[\(index)]: larger than a span may be") }
        for half in ZipkinV1Split(span).spans { add(half, bytes: bytes, at: index) }
    }

    /// - Parameter text: place and reason; only looked at for the first.
    mutating func reject(_ reason: SpanRejection, message text: @autoclosure () -> String) {
        received += 1
        rejections.add(reason, message: text())
    }

    private mutating func scope(of service: String) -> Int {
        if let known = scopes[service] { return known }
        var resource = Resource(serviceName: service)
        if !service.isEmpty { resource.attributes = [Attribute("service.name", .string(service))] }
        let index = builder.append(Scope(), resource: builder.append(resource))
        scopes[service] = index
        return index
    }

    consuming func finish(_ origin: BatchOrigin) -> DecodedSpans {
        let (received, rejections) = (received, rejections)
        return DecodedSpans(
            batch: builder.finish(origin), received: received, rejected: rejections.counts,
            message: rejections.message)
    }
}

/// A string of a span in one of the binary forms: what is no UTF-8 becomes U+FFFD, and it is cut to `limit`, each with
/// a mark.
func zipkinText(_ bytes: UnsafeRawBufferPointer, limit: Int, marks: inout SpanMarks) -> String {
    if bytes.count > limit { marks.insert(.truncated) }
    if isUTF8(bytes) { return String(decoding: utf8Prefix(bytes, limit), as: UTF8.self) }
    marks.insert(.repairedText)
    return String(decoding: repairedUTF8(bytes, limit), as: UTF8.self)
}
