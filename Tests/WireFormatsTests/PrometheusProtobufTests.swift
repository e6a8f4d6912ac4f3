import Telemetry
import Testing
import WireFormats

@Suite("Prometheus protobuf")
struct PrometheusProtobufTests {
    @Test("A counter, byte for byte")
    func counter() {
        var writer = PrometheusProtobufWriter()
        let isLegal = writer.beginFamily(name: "a", kind: .counter, help: "h")
        #expect(isLegal)
        Array(#"k="v\"""#.utf8).withUnsafeBytes {
            writer.counter(CounterReading(value: 1, startNanoseconds: 1_500_000_000), labels: $0)
        }
        let label: [UInt8] = [0x0a, 7, 0x0a, 1, 0x6b, 0x12, 2, 0x76, 0x22]
        let start: [UInt8] = [0x1a, 8, 0x08, 1, 0x10, 0x80, 0xca, 0xb5, 0xee, 0x01]
        let counter: [UInt8] = [0x1a, 19, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f] + start
        let metric = label + counter
        let family: [UInt8] =
            [0x0a, 7] + Array("a_total".utf8) + [0x12, 1, 0x68, 0x18, 0, 0x22, UInt8(metric.count)] + metric
        #expect(writer.finished() == [UInt8(family.count)] + family)
    }

    @Test(
        "Accept headers that ask for protobuf",
        arguments: [
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited", true),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.5,"
                    + "text/plain;q=0.6", false
            ),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=text", false),
            ("application/vnd.google.protobuf;proto=other;encoding=delimited", false),
        ])
    func negotiation(accept: String, isProtobuf: Bool) {
        let found = ScrapeNegotiation(accept: accept, acceptEncoding: nil)
        #expect((found.format == .protobuf) == isProtobuf)
    }
}
