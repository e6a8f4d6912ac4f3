internal import SpanPipeline
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// `POST /api/traces`: a thrift `Batch` in the binary protocol. 202 without a body; one bad span costs only itself.
enum JaegerIngest {
    private static let mediaTypes = ["application/x-thrift", "application/vnd.apache.thrift.binary"]

    static func traces(_ call: Call, reply: @escaping @Sendable (Response) -> Void) {
        guard mediaTypes.contains(call.request.mediaType) else {
            call.ledger.requestsRejected.add(1, .mediaType)
            let supported = mediaTypes.joined(separator: ", ")
            reply(.text("415 unsupported media type, supported: [\(supported)]\n", status: 415))
            return
        }
        let body: [UInt8]
        switch SpanIntake(call: call).body() {
        case .success(let plain): body = plain
        case .failure(let refused): return reply(refused.response)
        }
        let origin = BatchOrigin(tenant: call.context.tenant, arrival: call.context.now())
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in try decodeJaegerThrift(bytes, origin: origin) }
        }
        switch result {
        case .success(let batch): accept(batch, call, reply)
        case .failure(let error):
            reply(call.dialect.malformed(error.description, for: call.request, ledger: call.ledger))
        }
    }

    private static func accept(
        _ batch: JaegerBatch, _ call: Call, _ reply: @escaping @Sendable (Response) -> Void
    ) {
        if let report = batch.report { call.context.jaegerClients.note(report, ledger: call.ledger) }
        let message = batch.spans.message
        let allBad = batch.spans.received > 0 && batch.spans.batch.spans.isEmpty
        SpanIntake(call: call).accept(call.context.offer(batch.spans, from: .client), reply: reply) {
            guard allBad else { return Response(status: 202) }
            return call.dialect.malformed(message, for: call.request, ledger: call.ledger)
        }
    }
}

/// Takes the datagrams of Jaeger clients. Nobody is answered, so everything is counted: spans in the ledger's terms,
/// datagrams that are none of ours by reason.
package struct JaegerDatagramReceiver: Sendable {
    private let context: EndpointContext

    package init(_ context: EndpointContext) { self.context = context }

    /// Decodes a datagram, borrowed for the call, and hands its spans to the store.
    package func receive(_ datagram: UnsafeRawBufferPointer) {
        do throws(WireError) {
            let batch = try decodeJaegerDatagram(datagram, origin: BatchOrigin(arrival: context.now()))
            if let report = batch.report { context.jaegerClients.note(report, ledger: context.ledger) }
            // What is shed or refused is counted with the spans; there is nobody to tell.
            context.take(context.offer(batch.spans, from: .datagram))
        } catch {
            context.ledger.spanDatagramsRejected.add(1, error.kind == .thriftMessage ? .unknownMessage : .malformed)
        }
    }
}
