internal import Telemetry
internal import WireFormats

/// The decoders of Zipkin's other forms and of Jaeger's thrift, under the checks of every span decoder.
extension FuzzTarget {
    static let zipkinProtobuf = spans("zipkin-protobuf", [zipkinProtobufSeed], decodeZipkinProtobuf)
    static let zipkinV1JSON = spans("zipkin-v1-json", [Array(zipkinV1Seed.utf8)], decodeZipkinV1JSON)
    static let zipkinV1Thrift = spans("zipkin-v1-thrift", [zipkinThriftSeed], decodeZipkinV1Thrift)

    static let jaegerThrift = spans("jaeger-thrift", [jaegerBinarySeed]) { (bytes, origin) throws(WireError) in
        try decodeJaegerThrift(bytes, origin: origin).spans
    }

    static let jaegerDatagram = spans(
        "jaeger-datagram", [jaegerCompactSeed, binaryCall(jaegerBinarySeed)]
    ) { (bytes, origin) throws(WireError) in try decodeJaegerDatagram(bytes, origin: origin).spans }

    private static func spans(
        _ name: String, _ seeds: [[UInt8]], _ decode: @escaping SpanDecoder
    ) -> FuzzTarget {
        FuzzTarget(
            name: name, seeds: { seeds },
            check: { input in
                guard let spans = decodedSpans(input, decode) else { return nil }
                return spanDefect(of: spans)
            })
    }
}

/// A span with every field.
private let zipkinProtobufSeed: [UInt8] = [
    10, 85, 10, 8, 0, 0, 0, 0, 0, 0, 0, 0xa1, 18, 8, 0, 0, 0, 0, 0, 0, 0, 0xb0, 26, 8, 0, 0, 0, 0, 0, 0, 0, 0xb1, 32, 1,
    42, 3, 103, 101, 116, 49, 1, 0, 0, 0, 0, 0, 0, 0, 56, 5, 66, 9, 10, 1, 115, 18, 4, 10, 0, 0, 1, 74, 4, 10, 0, 32,
    80,
    82, 4, 18, 2, 104, 105, 90, 8, 10, 1, 107, 18, 3, 118, 97, 108, 96, 1, 104, 1,
]

private let zipkinV1Seed =
    #"[{"traceId":"a1","id":"b1","name":"get","timestamp":5,"duration":9,"annotations":[{"timestamp":5,"value":"cs","#
    + #""endpoint":{"serviceName":"a","ipv4":"1.2.3.4"}},{"timestamp":6,"value":"sr","endpoint":{"serviceName":"b"}}],"#
    + #""binaryAnnotations":[{"key":"sa","value":true,"endpoint":{"serviceName":"b","port":1}},"#
    + #"{"key":"k","value":1.5}]}]"#

private let zipkinThriftSeed: [UInt8] = [
    12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xa1, 10, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0xb1, 15, 0, 6, 12, 0, 0, 0, 1,
    10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 11, 0, 2, 0, 0, 0, 2, 99, 115, 12, 0, 3, 8, 0, 1, 10, 0, 0, 1, 6, 0, 2, 0, 80, 11,
    0, 3, 0, 0, 0, 1, 102, 0, 0, 15, 0, 8, 12, 0, 0, 0, 1, 11, 0, 1, 0, 0, 0, 1, 107, 11, 0, 2, 0, 0, 0, 2, 0, 7, 8, 0,
    3, 0, 0, 0, 2, 0, 0,
]

/// Process, and one span with a tag, a reference and a log; sequence number and drops.
private let jaegerBinarySeed: [UInt8] = [
    12, 0, 1, 11, 0, 1, 0, 0, 0, 1, 115, 0, 15, 0, 2, 12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xa1, 10, 0, 3, 0,
    0,
    0, 0, 0, 0, 0, 0xb1, 15, 0, 6, 12, 0, 0, 0, 1, 8, 0, 1, 0, 0, 0, 1, 10, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5, 10, 0, 4, 0,
    0,
    0, 0, 0, 0, 0, 6, 0, 10, 0, 8, 0, 0, 0, 0, 0, 0, 0, 9, 15, 0, 10, 12, 0, 0, 0, 1, 11, 0, 1, 0, 0, 0, 1, 107, 8, 0,
    2,
    0, 0, 0, 3, 10, 0, 6, 0, 0, 0, 0, 0, 0, 0, 7, 0, 15, 0, 11, 12, 0, 0, 0, 1, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0,
    10, 0, 3, 0, 0, 0, 0, 0, 0, 0, 2, 12, 0, 4, 10, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,
]

private func binaryCall(_ batch: [UInt8]) -> [UInt8] {
    [0x80, 1, 0, 4, 0, 0, 0, 9] + Array("emitBatch".utf8) + [0, 0, 0, 1, 12, 0, 1] + batch + [0]
}

private let jaegerCompactSeed: [UInt8] =
    [0x82, 0x81, 0, 9] + Array("emitBatch".utf8) + [
        0x1c, 0x1c, 0x18, 1, 115, 0x19, 0x1c, 0x18, 1, 107, 0x15, 4, 0x31, 0, 0, 0x19, 0x1c, 0x16, 14, 0x26, 18, 0x39,
        0x1c, 0x15, 2, 0x16, 8, 0x26, 6, 0, 0x26, 2, 0x16, 4, 0x19, 0x1c, 0x18, 1, 110, 0x15, 2, 0x27, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0x19, 0x1c, 0x16, 6, 0x19, 0x0c, 0, 0, 0x16, 4, 0x1c, 0x16, 2, 0, 0, 0,
    ]
