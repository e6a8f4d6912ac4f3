/// The answers of OTLP/HTTP, in the encoding of the request.
///
/// Source: schemas/wire/otlp.md, "Answers".
package enum OTLPEncoding: Sendable {
    case protobuf
    case json

    package var contentType: String {
        switch self {
        case .protobuf: "application/x-protobuf"
        case .json: "application/json"
        }
    }

    /// An `ExportTraceServiceResponse`: empty when all went well, else with a partial success.
    ///
    /// - Parameter message: says why spans were rejected; with no rejected spans it is a warning.
    package func exportResponse(rejectedSpans: Int = 0, message: String = "") -> [UInt8] {
        response(rejected: rejectedSpans, named: "rejectedSpans", message: message)
    }

    /// An `ExportMetricsServiceResponse`, likewise.
    package func metricsResponse(rejectedPoints: Int = 0, message: String = "") -> [UInt8] {
        response(rejected: rejectedPoints, named: "rejectedDataPoints", message: message)
    }

    private func response(rejected: Int, named name: StaticString, message: String) -> [UInt8] {
        let isPartial = rejected > 0 || !message.isEmpty
        switch self {
        case .protobuf:
            var response = ProtobufWriter()
            guard isPartial else { return response.bytes }
            response.message(1) { partial in
                if rejected > 0 { partial.varint(1, UInt64(rejected)) }
                if !message.isEmpty { partial.string(2, message) }
            }
            return response.bytes
        case .json:
            var response = JSONWriter()
            response.beginObject()
            if isPartial {
                response.key("partialSuccess")
                response.beginObject()
                if rejected > 0 { response.string(name, String(rejected)) }
                if !message.isEmpty { response.string("errorMessage", message) }
                response.endObject()
            }
            response.endObject()
            return response.bytes
        }
    }

    /// A `google.rpc.Status`, the body of every failure.
    /// - Parameter badField: for bad data: where in the request it stands, as in ``WireError/path``; may be empty. It
    ///   goes into a `google.rpc.BadRequest` in the details.
    package func status(_ code: RPCCode, message: String, badField: String? = nil) -> [UInt8] {
        switch self {
        case .protobuf:
            var status = ProtobufWriter()
            if code.rawValue != 0 { status.varint(1, UInt64(code.rawValue)) }
            if !message.isEmpty { status.string(2, message) }
            if let badField {
                status.message(3) { detail in
                    detail.string(1, Self.badRequestType)
                    detail.message(2) { request in
                        request.message(1) { violation in
                            if !badField.isEmpty { violation.string(1, badField) }
                            violation.string(2, message)
                        }
                    }
                }
            }
            return status.bytes
        case .json:
            var status = JSONWriter()
            status.beginObject()
            status.number("code", Int(code.rawValue))
            status.string("message", message)
            if let badField {
                status.key("details")
                status.beginArray()
                status.beginObject()
                status.string("@type", Self.badRequestType)
                status.key("fieldViolations")
                status.beginArray()
                status.beginObject()
                if !badField.isEmpty { status.string("field", badField) }
                status.string("description", message)
                status.endObject()
                status.endArray()
                status.endObject()
                status.endArray()
            }
            status.endObject()
            return status.bytes
        }
    }

    private static let badRequestType = "type.googleapis.com/google.rpc.BadRequest"
}

/// The codes of `google.rpc.Code` that Crest answers.
package enum RPCCode: UInt8, CaseIterable, Sendable {
    case ok = 0
    case invalidArgument = 3
    case deadlineExceeded = 4
    case notFound = 5
    case permissionDenied = 7
    case resourceExhausted = 8
    case unimplemented = 12
    case `internal` = 13
    case unavailable = 14
    case unauthenticated = 16
}
