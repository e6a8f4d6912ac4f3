internal import SpanPipeline
internal import Telemetry
internal import WireFormats

/// The forms in which Zipkin spans come. One bad span costs only itself; the answer is 202 without a body.
enum ZipkinFormat: Sendable {
    case json
    case protobuf
    case jsonVersion1
    case thriftVersion1

    /// `POST /api/v2/spans`: any type that is not known is read as JSON, as Zipkin does.
    static func version2(mediaType: String) -> ZipkinFormat? {
        switch mediaType {
        case "application/x-protobuf": .protobuf
        case "application/x-thrift": nil
        default: .json
        }
    }

    /// `POST /api/v1/spans`.
    static func version1(mediaType: String) -> ZipkinFormat? {
        switch mediaType {
        case "application/x-thrift": .thriftVersion1
        case "application/x-protobuf": nil
        default: .jsonVersion1
        }
    }

    func decode(_ body: [UInt8], _ origin: BatchOrigin) throws(WireError) -> DecodedSpans {
        let result = body.withUnsafeBytes { bytes in
            Result { () throws(WireError) in
                switch self {
                case .json: try decodeZipkinJSON(bytes, origin: origin)
                case .protobuf: try decodeZipkinProtobuf(bytes, origin: origin)
                case .jsonVersion1: try decodeZipkinV1JSON(bytes, origin: origin)
                case .thriftVersion1: try decodeZipkinV1Thrift(bytes, origin: origin)
                }
            }
        }
        return try result.get()
    }
}

enum ZipkinIngest {
    static func version2(_ call: Call, reply: @escaping @Sendable (Response) -> Void) {
        spans(call, .version2(mediaType: call.request.mediaType), reply)
    }

    static func version1(_ call: Call, reply: @escaping @Sendable (Response) -> Void) {
        spans(call, .version1(mediaType: call.request.mediaType), reply)
    }

    private static func spans(
        _ call: Call, _ format: ZipkinFormat?, _ reply: @escaping @Sendable (Response) -> Void
    ) {
        guard let format else {
            call.ledger.requestsRejected.add(1, .mediaType)
            reply(.text("\(call.request.mediaType) is not taken on \(call.request.rawPath)\n", status: 415))
            return
        }
        let body: [UInt8]
        let isGzip = call.request.header("content-encoding")?.lowercased() == "gzip"
        switch SpanIntake(call: call).body(corruptText: isGzip ? "Cannot gunzip spans" : nil) {
        case .success(let plain): body = plain
        case .failure(let refused): return reply(refused.response)
        }
        guard !body.isEmpty else { return reply(Response(status: 202)) }
        do throws(WireError) {
            accept(
                try format.decode(body, BatchOrigin(tenant: call.context.tenant, arrival: call.context.now())), call,
                reply)
        } catch {
            reply(call.dialect.malformed(text(error), for: call.request, ledger: call.ledger))
        }
    }

    private static func accept(
        _ decoded: DecodedSpans, _ call: Call, _ reply: @escaping @Sendable (Response) -> Void
    ) {
        let message = decoded.message
        let allBad = decoded.received > 0 && decoded.batch.spans.isEmpty
        SpanIntake(call: call).accept(call.context.offer(decoded, from: .client), reply: reply) {
            guard allBad else { return Response(status: 202) }
            return call.dialect.malformed(message, for: call.request, ledger: call.ledger)
        }
    }

    /// What Zipkin itself says where it has words of its own.
    private static func text(_ error: WireError) -> String {
        switch error.kind {
        case .zipkinList, .zipkinVersion1, .zipkinListVersion1, .zipkinVersion2: error.kind.rawValue
        default: error.description
        }
    }
}
