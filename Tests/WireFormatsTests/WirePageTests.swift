import Bytes
import Foundation
import Telemetry
import Testing
import WireFormats

/// The examples inside the pages of schemas/wire, read as they stand there.
@Suite("Examples in the pages of binary formats")
struct WirePageTests {
    /// The blocks of a page between fences of a language; no language: dumps.
    private func blocks(_ page: String, _ language: String = "") throws -> [String] {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let text = try String(contentsOf: root.appending(path: "schemas/wire/" + page), encoding: .utf8)
        let parts = text.components(separatedBy: "```")
        return parts.indices.filter { !$0.isMultiple(of: 2) }.compactMap { index in
            let lines = parts[index].split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
            return lines.count == 2 && lines[0] == language ? String(lines[1]) : nil
        }
    }

    /// Lines `hex bytes | what they are`; the text is not read.
    private func bytes(_ dump: String) -> [UInt8] {
        dump.split(separator: "\n").flatMap { line in
            (line.split(separator: "|").first ?? "").split(separator: " ").compactMap { UInt8($0, radix: 16) }
        }
    }

    @Test("zipkin-protobuf.md")
    func zipkinProtobuf() throws {
        let dump = try #require(try blocks("zipkin-protobuf.md").first)
        let spans = try Decode.zipkinProtobuf(bytes(dump)).records()
        #expect(
            String(decoding: encodeZipkinJSON(spans), as: UTF8.self)
                == #"[{"traceId":"00000000000000a1","id":"00000000000000b1","kind":"CLIENT","name":"get","#
                + #""timestamp":1700000000000000,"duration":1500,"localEndpoint":{"serviceName":"shop"}}]"#)
    }

    @Test("zipkin-v1.md, JSON")
    func zipkinV1JSON() throws {
        let examples = try blocks("zipkin-v1.md", "json")
        #expect(examples.count == 2)
        let spans = try Decode.zipkinV1(examples[0]).records()
        #expect(String(decoding: encodeZipkinJSON(spans), as: UTF8.self) + "\n" == examples[1])
    }

    @Test("zipkin-v1.md, thrift")
    func zipkinV1Thrift() throws {
        let dump = try #require(try blocks("zipkin-v1.md").first)
        let spans = try Decode.zipkinV1Thrift(bytes(dump)).records()
        #expect(
            String(decoding: encodeZipkinJSON(spans), as: UTF8.self)
                == #"[{"traceId":"00000000000000a1","id":"00000000000000b1","kind":"CLIENT","name":"get","#
                + #""timestamp":100,"localEndpoint":{"serviceName":"f","ipv4":"10.0.0.1","port":80}}]"#)
    }

    @Test("jaeger-thrift.md: the same batch over HTTP and as a datagram")
    func jaegerThrift() throws {
        let dumps = try blocks("jaeger-thrift.md")
        #expect(dumps.count == 2)
        let body = try Decode.jaeger(bytes(dumps[0]), decodeJaegerThrift)
        let datagram = try Decode.jaeger(bytes(dumps[1]), decodeJaegerDatagram)
        let span = try #require(try body.spans.records().first)
        #expect(try datagram.spans.records() == [span])
        #expect(body.report == JaegerClientReport(client: "", sequence: 2) && datagram.report == body.report)
        #expect(span.name == "get" && span.serviceName == "shop" && span.attributes == [Attribute("n", .int(7))])
        #expect(span.start == 1_000 && span.end == 1_005_000 && span.flags == 1)
    }

    @Test("remote-write.md: the same series in both versions, and a snappy block")
    func remoteWrite() throws {
        let dumps = try blocks("remote-write.md")
        #expect(dumps.count == 3)
        for (dump, version) in zip(dumps, [RemoteWriteVersion.one, .two]) {
            let batch = try decodeRemoteWrite(bytes(dump), version: version)
            let labels = batch.labels.map { label in
                [label.name, label.value].map { String(decoding: batch.bytes($0), as: UTF8.self) }
            }
            #expect(labels == [["__name__", "orders_total"], ["job", "shop"]])
            #expect(batch.series.count == 1 && batch.samples.map(\.value) == [5])
            #expect(batch.samples.map(\.time) == [1_700_000_000_000])
        }
        let plain = try bytes(dumps[2]).withUnsafeBytes { try snappyInflated($0, limit: 10) }
        #expect(plain == Array("ababab".utf8))
    }

    @Test("crest-datagram.md: decoded, and encoded again to the byte")
    func crestDatagram() throws {
        let dump = bytes(try #require(try blocks("crest-datagram.md").first))
        let key = HMACSHA256(key: Array("0123456789abcdef".utf8))
        let payload = Array("stock:5|g\nsold:1|c".utf8)
        try dump.withUnsafeBytes { bytes in
            let decoded = try decodeCrestDatagram(bytes, limit: 100)
            let head = decoded.head
            #expect(head.signal == .lines && head.source == 0x1122_3344_5566_7788 && head.sequence == 3)
            #expect(head.epoch == 1_700_000_000_000_000_000 && head.time == 1_700_000_001_500_000_000)
            #expect(head.produced == 9 && head.dropped == 2 && head.sent == 7 && head.items == 2)
            #expect(!decoded.isCompressed && decoded.plainBytes == 18 && Array(bytes[decoded.payload]) == payload)
            let tag = try #require(decoded.tag)
            let message = UnsafeRawBufferPointer(rebasing: bytes[..<tag.lowerBound])
            #expect(key.isTag(UnsafeRawBufferPointer(rebasing: bytes[tag]), of: message))
            payload.withUnsafeBytes { #expect(encodeCrestDatagram(head, payload: $0, key: key) == dump) }
        }
    }
}
