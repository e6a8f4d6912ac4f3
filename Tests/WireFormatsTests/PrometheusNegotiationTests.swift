import Testing
import WireFormats

@Suite("Scrape negotiation")
struct PrometheusNegotiationTests {
    @Test(
        "Accept headers as clients send them",
        arguments: [
            (nil, ScrapeFormat.text, nil as String?), ("", .text, nil), ("*/*", .text, nil),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics, nil
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                    + "application/openmetrics-text;version=0.0.1;q=0.5,"
                    + "text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,"
                    + "text/plain;version=0.0.4;q=0.3,*/*;q=0.2", .openMetrics, "allow-utf-8"
            ),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,"
                    + "text/plain;version=1.0.0;escaping=underscores;q=0.6,text/plain;version=0.0.4;q=0.5",
                .protobuf, nil
            ),
            ("text/plain;version=1.0.0;escaping=underscores;q=0.6", .textWithQuotedNames, "underscores"),
            ("text/plain;version=0.0.4;escaping=dots", .text, "underscores"),
            ("application/openmetrics-text;q=0,text/plain", .text, nil),
            ("application/openmetrics-text; version=\"1.0.0\" ; q=0.9, text/plain; q=0.95", .text, nil),
            ("TEXT/PLAIN;Q=0.1,Application/OpenMetrics-Text;Q=0.2", .openMetrics, nil),
            ("text/plain;q=0.5,application/openmetrics-text;q=0.5", .text, nil),
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", .text, nil),
            ("image/png", .text, nil), ("application/openmetrics-text;version=2.0.0", .text, nil),
            (";;;,,,q=", .text, nil), ("application/openmetrics-text;q=banana", .text, nil),
        ])
    func accept(header: String?, format: ScrapeFormat, escaping: String?) {
        let negotiation = ScrapeNegotiation(accept: header, acceptEncoding: nil)
        #expect(negotiation.format == format, "\(header ?? "none")")
        #expect(negotiation.escaping == escaping, "\(header ?? "none")")
    }

    @Test(
        "Gzip only when it is asked for",
        arguments: [
            (nil, false), ("gzip", true), ("deflate, gzip;q=0.5", true), ("gzip;q=0", false), ("identity", false),
            ("zstd", false), ("*", false), ("x-gzip", true),
        ])
    func encoding(header: String?, usesGzip: Bool) {
        #expect(ScrapeNegotiation(accept: nil, acceptEncoding: header).usesGzip == usesGzip)
    }

    @Test("The answer names its type and its escaping")
    func contentType() {
        let plain = ScrapeNegotiation(accept: nil, acceptEncoding: nil)
        #expect(plain.contentType == "text/plain; version=0.0.4; charset=utf-8")
        let other = ScrapeNegotiation(accept: "application/openmetrics-text;escaping=values", acceptEncoding: nil)
        #expect(other.contentType == "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=values")
    }
}
