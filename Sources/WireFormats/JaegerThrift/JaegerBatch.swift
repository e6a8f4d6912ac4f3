package import Telemetry

/// What a Jaeger client sent in one batch: spans, and what it says about its own sending.
package struct JaegerBatch: Sendable {
    package let spans: DecodedSpans
    /// Nil for a batch that tells nothing of its sender.
    package let report: JaegerClientReport?
}

/// What a batch says about its client.
package struct JaegerClientReport: Hashable, Sendable {
    /// The process tag `client-uuid`; empty when there is none, and then nothing can be told from the rest.
    package var client: String
    /// Counts the batches of a client from 1.
    package var sequence: Int64?
    package var drops: JaegerClientDrops?

    package init(client: String, sequence: Int64? = nil, drops: JaegerClientDrops? = nil) {
        self.client = client
        self.sequence = sequence
        self.drops = drops
    }
}

/// Spans that a client has dropped by itself, since it started.
package struct JaegerClientDrops: Hashable, Sendable {
    package var fullQueue: Int64
    package var tooLarge: Int64
    package var failedToEmit: Int64

    package init(fullQueue: Int64 = 0, tooLarge: Int64 = 0, failedToEmit: Int64 = 0) {
        self.fullQueue = fullQueue
        self.tooLarge = tooLarge
        self.failedToEmit = failedToEmit
    }
}

/// Decodes a `Batch` of `jaeger.thrift` in the binary protocol: the body of `POST /api/traces`.
///
/// A span whose content is bad costs only itself; fields that are not known or have another type are skipped.
/// - Throws: for bytes that are not this struct, or a process with invalid UTF-8; nothing of the body is kept then.
/// - Source: schemas/wire/jaeger-thrift.md, "Over HTTP".
package func decodeJaegerThrift(
    _ body: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> JaegerBatch {
    var decoder = JaegerThriftDecoder<ThriftBinaryCursor>(bodyBytes: body.count, origin)
    var cursor = ThriftBinaryCursor(body)
    try decoder.decodeBatch(&cursor)
    return decoder.finish(origin)
}

/// Decodes a call `emitBatch` or `emitZipkinBatch` of Jaeger's agent in the compact or the binary protocol, which
/// differ in the first byte: one datagram.
///
/// - Throws: for bytes that are no such call; nothing of the datagram is kept then.
/// - Source: schemas/wire/jaeger-thrift.md, "Over UDP".
package func decodeJaegerDatagram(
    _ datagram: UnsafeRawBufferPointer, origin: BatchOrigin
) throws(WireError) -> JaegerBatch {
    if datagram.first == 0x80 {
        var cursor = ThriftBinaryCursor(datagram)
        return try decodeCall(&cursor, datagram.count, origin)
    }
    var cursor = ThriftCompactCursor(datagram)
    return try decodeCall(&cursor, datagram.count, origin)
}

private func decodeCall<Cursor: ThriftCursor>(
    _ cursor: inout Cursor, _ bodyBytes: Int, _ origin: BatchOrigin
) throws(WireError) -> JaegerBatch {
    let message = try cursor.readMessage()
    let isBatch = message.name.elementsEqual("emitBatch".utf8)
    // A call that asks for no answer; some clients mark it as one that does.
    guard message.type == 4 || message.type == 1, isBatch || message.name.elementsEqual("emitZipkinBatch".utf8) else {
        throw WireError(.thriftMessage, at: 0)
    }
    var decoder = JaegerThriftDecoder<Cursor>(bodyBytes: bodyBytes, origin)
    var zipkin = ZipkinSpanList()
    var found = false
    var last: Int16 = 0
    while let field = try cursor.readField(after: &last) {
        switch (field.id, field.type) {
        case (1, .structure) where isBatch && !found:
            try decoder.decodeBatch(&cursor)
            found = true
        case (1, .list) where !isBatch && !found:
            try decodeZipkinV1(&cursor, into: &zipkin, origin)
            found = true
        default: try cursor.skip(field)
        }
    }
    guard isBatch else { return JaegerBatch(spans: zipkin.finish(origin), report: nil) }
    return decoder.finish(origin)
}
