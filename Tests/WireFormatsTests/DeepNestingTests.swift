import Dispatch
import Foundation
import Synchronization
import Telemetry
import Testing
import WireFormats

/// A million levels of whatever nests, on a thread with less stack than a recursion of that depth would take.
@Suite("A million levels")
struct DeepNestingTests {
    private static let levels = 1_000_000

    private static func text(_ before: String, _ open: String, _ close: String, _ after: String) -> [UInt8] {
        var bytes = Array(before.utf8)
        bytes.reserveCapacity(levels * (open.utf8.count + close.utf8.count) + 200)
        for _ in 0..<levels { bytes.append(contentsOf: open.utf8) }
        for _ in 0..<levels { bytes.append(contentsOf: close.utf8) }
        return bytes + Array(after.utf8)
    }

    /// An OTLP request whose one attribute is an array in an array in an array. Lengths are known from inside out.
    private static func protobuf() -> [UInt8] {
        var headers: [[UInt8]] = []
        var length = 0
        func wrap(_ tag: UInt8) {
            let header = [tag] + varint(length)
            headers.append(header)
            length += header.count
        }
        for _ in 0..<levels {
            wrap(0x0a)  // ArrayValue.values
            wrap(0x2a)  // AnyValue.array_value
        }
        wrap(0x12)  // KeyValue.value, with its key in front
        headers.append([0x0a, 1, 0x6b])
        length += 3
        for _ in 0..<3 { wrap(0x0a) }  // Resource.attributes, ResourceSpans.resource, the request's resource_spans
        return headers.reversed().flatMap { $0 }
    }

    private static func varint(_ value: Int) -> [UInt8] {
        var (bytes, rest) = ([UInt8](), value)
        while rest >= 0x80 {
            bytes.append(UInt8(rest & 0x7f) | 0x80)
            rest >>= 7
        }
        return bytes + [UInt8(rest)]
    }

    private static func thrift(_ before: [UInt8]) -> [UInt8] {
        before + (0..<levels).flatMap { _ in [12, 0, 9] as [UInt8] }
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var body: @Sendable () -> [UInt8]
        var decode: @Sendable ([UInt8]) throws(WireError) -> Void
    }

    static let cases: [Case] = {
        let value = #"{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":"#
        let otlpJSON: @Sendable ([UInt8]) throws(WireError) -> Void = { body throws(WireError) in
            _ = try Decode.otlpJSON(body)
        }
        return [
            Case(testDescription: "values in OTLP JSON") {
                text(value, #"{"arrayValue":{"values":["#, "]}}", "}]}}]}")
            } decode: { body throws(WireError) in
                try otlpJSON(body)
            },
            Case(testDescription: "an unknown field in OTLP JSON") {
                text(#"{"x":"#, "[", "]", "}")
            } decode: {
                body throws(WireError) in
                try otlpJSON(body)
            },
            Case(testDescription: "an unknown field in Zipkin JSON") {
                text(#"[{"x":"#, #"{"x":"#, "}", "}]")
            } decode: {
                body throws(WireError) in
                _ = try Decode.zipkin(body)
            },
            Case(testDescription: "an unknown field in Zipkin v1 JSON") {
                text(#"[{"x":"#, "[", "]", "}]")
            } decode: {
                body throws(WireError) in
                _ = try Decode.zipkinV1(body)
            },
            Case(testDescription: "values in OTLP protobuf") {
                protobuf()
            } decode: { body throws(WireError) in
                _ = try Decode.otlp(body)
            },
            Case(testDescription: "structs in Jaeger thrift") {
                thrift([])
            } decode: { body throws(WireError) in
                _ = try Decode.jaeger(body, decodeJaegerThrift)
            },
            Case(testDescription: "structs in a Jaeger datagram") {
                thrift([0x80, 1, 0, 4, 0, 0, 0, 9] + Array("emitBatch".utf8) + [0, 0, 0, 1])
            } decode: { body throws(WireError) in
                _ = try Decode.jaeger(body, decodeJaegerDatagram)
            },
            Case(testDescription: "structs in Zipkin v1 thrift") {
                thrift([12, 0, 0, 0, 1])
            } decode: {
                body throws(WireError) in
                _ = try Decode.zipkinV1Thrift(body)
            },
            Case(testDescription: "metrics in OTLP JSON") {
                text(
                    #"{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":"#,
                    #"{"arrayValue":{"values":["#, "]}}", "}]}}]}")
            } decode: { body throws(WireError) in
                let result = body.withUnsafeBytes { bytes in
                    Result { () throws(WireError) in _ = try decodeOTLPMetricsJSON(bytes) }
                }
                try result.get()
            },
        ]
    }()

    @Test("Refused, on 256 KiB of stack", arguments: cases)
    func refused(one: Case) {
        let body = one.body()
        let kind = Mutex<WireError.Kind?>(nil)
        onSmallStack {
            do throws(WireError) { try one.decode(body) } catch { kind.withLock { $0 = error.kind } }
        }
        #expect(kind.withLock { $0 } == .nesting)
    }

    private func onSmallStack(_ body: @escaping @Sendable () -> Void) {
        let done = DispatchSemaphore(value: 0)
        let thread = Thread {
            body()
            done.signal()
        }
        thread.stackSize = 256 << 10
        thread.start()
        done.wait()
    }
}
