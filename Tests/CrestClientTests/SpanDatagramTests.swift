import Bytes
import CrestClient
import Glibc
import Testing
import WireFormats

import struct Telemetry.BatchOrigin

/// A UDP socket on a free port of loopback.
private struct Sink {
    let descriptor: CInt
    let port: UInt16

    init() throws {
        let opened = socket(AF_INET, CInt(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                bind(opened, address, length) == 0 && getsockname(opened, address, &length) == 0
            }
        }
        try #require(result)
        descriptor = opened
        port = UInt16(bigEndian: address.sin_port)
    }

    /// The next datagram that is there already.
    func next() -> [UInt8]? {
        let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = max(recv(descriptor, buffer.baseAddress, buffer.count, CInt(MSG_DONTWAIT)), 0)
        }
        return bytes.isEmpty ? nil : bytes
    }
}

@Suite("Spans as Crest datagrams")
struct SpanDatagramTests {
    @Test("Numbered, within their size, and read by the server's decoder", arguments: [600, 1_400, 32_768])
    func exporter(maximumBytes: Int) async throws {
        let sink = try Sink()
        defer { close(sink.descriptor) }
        var configuration = OTLPExporter.Configuration()
        var options = OTLPExporter.DatagramOptions(address: "127.0.0.1:\(sink.port)")
        options.maximumBytes = maximumBytes
        configuration.datagrams = options
        configuration.batchSpans = 50
        let exporter = try OTLPExporter(configuration)
        let recorders = ["cart", "order"].map { exporter.recorder(for: Resource(serviceName: $0)) }
        for number in 0..<120 { recorders[number % 2].record(sampleSpan(UInt64(number + 1))) }
        let statistics = await exporter.shutdown(within: .seconds(5))
        #expect(statistics.ended == 120 && statistics.sent == 120 && statistics.pending == 0)
        var (spans, sequence) = (0, UInt64(0))
        var last: CrestDatagramHead?
        while let bytes = sink.next() {
            #expect(bytes.count <= maximumBytes)
            try bytes.withUnsafeBytes { bytes in
                let datagram = try decodeCrestDatagram(bytes, limit: 1 << 20)
                sequence += 1
                let body = UnsafeRawBufferPointer(rebasing: bytes[datagram.payload])
                let decoded = try decodeOTLPTraces(body, origin: BatchOrigin(arrival: 1))
                spans += decoded.received
                #expect(decoded.received == Int(datagram.head.items) && decoded.rejected.isEmpty)
                #expect(datagram.head.sequence == sequence && datagram.head.produced == UInt64(spans))
                last = datagram.head
            }
        }
        #expect(spans == 120 && statistics.requests == Int(sequence))
        #expect(last?.signal == .report && last?.dropped == 0 && last?.produced == 120)
    }

    @Test("What the client dropped is said")
    func dropped() async throws {
        let sink = try Sink()
        defer { close(sink.descriptor) }
        var configuration = OTLPExporter.Configuration()
        configuration.datagrams = OTLPExporter.DatagramOptions(address: "127.0.0.1:\(sink.port)")
        configuration.maximumQueuedBytes = 1
        let exporter = try OTLPExporter(configuration)
        for number in 1...5 { exporter.recorder(for: Resource(serviceName: "a")).record(sampleSpan(UInt64(number))) }
        let statistics = await exporter.shutdown(within: .seconds(5))
        #expect(statistics.dropped.queueFull == 5 && statistics.sent == 0)
        let bytes = try #require(sink.next())
        let head = try bytes.withUnsafeBytes { try decodeCrestDatagram($0, limit: 0) }.head
        #expect(head.produced == 5 && head.dropped == 5 && head.sequence == 1 && sink.next() == nil)
    }

    @Test("Under a key the server's decoder finds the right tag, and the size is kept")
    func key() async throws {
        let sink = try Sink()
        defer { close(sink.descriptor) }
        let key = Array("a key of some 32 characters, yes".utf8)
        var configuration = OTLPExporter.Configuration()
        configuration.datagrams = OTLPExporter.DatagramOptions(address: "127.0.0.1:\(sink.port)")
        configuration.datagrams?.key = key
        let exporter = try OTLPExporter(configuration)
        for number in 1...40 { exporter.recorder(for: Resource(serviceName: "a")).record(sampleSpan(UInt64(number))) }
        #expect(await exporter.shutdown(within: .seconds(5)).sent == 40)
        var count = 0
        while let bytes = sink.next() {
            #expect(bytes.count <= 1_400)
            try bytes.withUnsafeBytes { bytes in
                let datagram = try decodeCrestDatagram(bytes, limit: 1 << 20)
                let tag = try #require(datagram.tag)
                let message = UnsafeRawBufferPointer(rebasing: bytes[..<tag.lowerBound])
                let sent = UnsafeRawBufferPointer(rebasing: bytes[tag])
                #expect(HMACSHA256(key: key).isTag(sent, of: message))
                #expect(!HMACSHA256(key: key + [0x31]).isTag(sent, of: message))
            }
            count += 1
        }
        #expect(count > 1)
        configuration.datagrams?.key = Array("short".utf8)
        #expect(throws: ConfigurationError.self) { try OTLPExporter(configuration) }
    }

    @Test("The code of a message is the server's, whatever the lengths")
    func codes() {
        for keyBytes in [0, 1, 16, 63, 64, 65, 200] {
            let key = (0..<keyBytes).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            let (mine, its) = (MessageTag(key: key), HMACSHA256(key: key))
            for count in [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1_400] {
                let message = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 13) }
                #expect(mine.code(message) == message.withUnsafeBytes { its.code($0) }, "\(keyBytes), \(count)")
            }
        }
    }

    @Test("An address that cannot work is an error at the start")
    func badAddress() {
        var configuration = OTLPExporter.Configuration()
        configuration.datagrams = OTLPExporter.DatagramOptions(address: "nowhere")
        #expect(throws: ConfigurationError.self) { try OTLPExporter(configuration) }
    }
}
