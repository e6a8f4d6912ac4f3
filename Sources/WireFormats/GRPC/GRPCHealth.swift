/// The messages of `grpc.health.v1.Health/Check`. Source: schemas/wire/otlp-grpc.md, "Health".
package enum GRPCHealth {
    /// `HealthCheckRequest`: the service asked for; empty: the whole server.
    package static func service(_ body: UnsafeRawBufferPointer) throws(WireError) -> String {
        guard var cursor = ProtobufCursor(body) else { return "" }
        var name = ""
        while !cursor.isAtEnd {
            let tag = try cursor.readTag()
            if tag == bytesTag(1) {
                name = String(decoding: try cursor.readBytes(), as: UTF8.self)
            } else {
                try cursor.skip(tag, known: 1 << 1)
            }
        }
        return name
    }

    /// `HealthCheckResponse`: SERVING or NOT_SERVING.
    package static func response(isServing: Bool) -> [UInt8] {
        var response = ProtobufWriter()
        response.varint(1, isServing ? 1 : 2)
        return response.bytes
    }
}
