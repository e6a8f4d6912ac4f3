import Testing
import WireFormats

@Suite("Prometheus text")
struct PrometheusTextWriterTests {
    private func write(_ format: ScrapeFormat) -> String {
        var writer = PrometheusTextWriter(format: format)
        let labels = Array(#"k="v",w="a\"b""#.utf8)
        labels.withUnsafeBytes { text in
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            _ = writer.beginFamily(name: "orders", kind: .counter, help: "Orders \"placed\"\nback\\slash")
            writer.counter(CounterReading(value: 12), labels: none)
            writer.counter(CounterReading(value: 0.5), labels: text)
            _ = writer.beginFamily(name: "broken", kind: .gauge, help: "")
            writer.gauge(1, labels: none)
            writer.cancelFamily()
            let isLegal = writer.beginFamily(name: "9bad", kind: .gauge, help: "")
            #expect(!isLegal)
            _ = writer.beginFamily(name: "stock", kind: .gauge, help: "Stock")
            writer.gauge(-3, labels: none)
            writer.gauge(.infinity, labels: text)
            _ = writer.beginFamily(name: "t_seconds", kind: .histogram, help: "T", bounds: [0.005, 1, 2.5])
            writer.histogram(HistogramReading(classic: [1, 0, 2, 4], sum: 30.25), labels: none)
            writer.histogram(HistogramReading(classic: [0, 6.5, 0, 0], sum: 1e300), labels: text)
            _ = writer.finished()
        }
        #expect(writer.familyCount == 3)
        #expect(writer.familyErrors == 2)
        #expect(writer.sampleCount == 16)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    @Test("Text 0.0.4, byte for byte")
    func text() {
        #expect(
            write(.text) == #"""
                # HELP orders_total Orders "placed"\nback\\slash
                # TYPE orders_total counter
                orders_total 12
                orders_total{k="v",w="a\"b"} 0.5
                # HELP stock Stock
                # TYPE stock gauge
                stock -3
                stock{k="v",w="a\"b"} +Inf
                # HELP t_seconds T
                # TYPE t_seconds histogram
                t_seconds_bucket{le="0.005"} 1
                t_seconds_bucket{le="1.0"} 1
                t_seconds_bucket{le="2.5"} 3
                t_seconds_bucket{le="+Inf"} 7
                t_seconds_sum 30.25
                t_seconds_count 7
                t_seconds_bucket{k="v",w="a\"b",le="0.005"} 0
                t_seconds_bucket{k="v",w="a\"b",le="1.0"} 6.5
                t_seconds_bucket{k="v",w="a\"b",le="2.5"} 6.5
                t_seconds_bucket{k="v",w="a\"b",le="+Inf"} 6.5
                t_seconds_sum{k="v",w="a\"b"} 1e+300
                t_seconds_count{k="v",w="a\"b"} 6.5

                """#)
    }

    @Test("OpenMetrics 1.0 differs in its comments and its end")
    func openMetrics() {
        let text = write(.openMetrics)
        let head = #"""
            # TYPE orders counter
            # HELP orders Orders \"placed\"\nback\\slash
            orders_total 12

            """#
        #expect(text.hasPrefix(head))
        #expect(text.contains("# TYPE t_seconds histogram\n# UNIT t_seconds seconds\n# HELP t_seconds T\n"))
        #expect(text.hasSuffix("t_seconds_count{k=\"v\",w=\"a\\\"b\"} 6.5\n# EOF\n"))
        let samples = { (text: String) in text.split(separator: "\n").filter { !$0.hasPrefix("#") } }
        #expect(samples(text) == samples(write(.text)))
    }

    @Test(
        "Numbers",
        arguments: [
            (0, "0"), (-0.0, "0"), (7, "7"), (10, "10"), (-120, "-120"), (999_999_999_999_999, "999999999999999"),
            (1e15, "1000000000000000"), (1e16, "1e+16"), (0.1, "0.1"), (1e-7, "1e-07"), (.nan, "NaN"),
            (-.infinity, "-Inf"),
        ] as [(Double, String)])
    func numbers(value: Double, text: String) {
        var bytes: [UInt8] = []
        appendExpositionNumber(value, to: &bytes)
        #expect(String(decoding: bytes, as: UTF8.self) == text)
    }
}
