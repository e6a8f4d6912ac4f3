import Daemon
import Testing

@Suite struct ReadyLineTests {
    private let line = ReadyLine(listeners: [
        ("http", ["127.0.0.1:8400"]), ("otlp-grpc", []), ("statsd", ["127.0.0.1:1", "[::1]:2"]),
    ])

    @Test func text() {
        #expect(line.text == "crestd ready http=127.0.0.1:8400 otlp-grpc=off statsd=127.0.0.1:1,[::1]:2")
    }

    @Test func json() {
        #expect(
            line.json == #"{"event":"crestd ready","listeners":{"http":"127.0.0.1:8400","otlp-grpc":"off","#
                + #""statsd":"127.0.0.1:1,[::1]:2"}}"#)
    }
}
