import Endpoints
import Telemetry
import Testing

private func filled() -> TestDaemon {
    let daemon = TestDaemon()
    daemon.store.add(shop)
    return daemon
}

@Suite struct JaegerReadTests {
    @Test("Lists, in the envelope byte for byte")
    func lists() {
        let daemon = filled()
        let services = daemon.get("/api/services")
        #expect(services.header("content-type") == "application/json")
        #expect(services.text == #"{"data":["Stock/1","web"],"total":2,"limit":0,"offset":0,"errors":null}"#)
        #expect(
            TestDaemon().get("/api/services").text
                == #"{"data":[],"total":0,"limit":0,"offset":0,"errors":null}"#)
        #expect(
            daemon.get("/api/operations?service=web&spanKind=server").text
                == #"{"data":[{"name":"GET /buy","spanKind":"server"}],"total":1,"limit":0,"offset":0,"errors":null}"#)
        #expect(daemon.get("/api/operations?service=web&spanKind=client").text.contains(#""data":[]"#))
        #expect(daemon.get("/api/services?prettyPrint=true").text.hasPrefix("{\n    \"data\": [\n        \"Stock/1\""))
    }

    @Test("A trace by id, in any form of the id, and 404 in the envelope")
    func trace() {
        let daemon = filled()
        for id in [firstID, "a0000000000000001", "A0000000000000001"] {
            #expect(daemon.get("/api/traces/\(id)").text.hasPrefix(#"{"data":[{"traceID":"\#(firstID)""#))
        }
        #expect(daemon.get("/api/traces/2?start=1&end=2&raw=true").text.contains(#""traceID":"0000000000000002""#))
        let missing = daemon.get("/api/traces/abc")
        #expect(missing.status == 404)
        #expect(missing.header("x-content-type-options") == "nosniff")
        #expect(missing.header("content-type") == "text/plain; charset=utf-8")
        #expect(
            missing.text
                == #"{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":404,"msg":"trace not found"}]}"#
                + "\n")
        #expect(daemon.ledger.requestsRejected.total == 0)
    }

    @Test(
        "Search: newest first, by every condition",
        arguments: [
            ("service=web", ["2", firstID]), ("service=Stock/1", [firstID]), ("service=none", []),
            ("service=web&operation=deduct", []), ("service=web&tag=sku:s1", [firstID]),
            ("service=web&tags=%7B%22sku%22%3A%22s2%22%2C%22error%22%3A%22true%22%7D", ["2"]),
            ("service=web&minDuration=2ms", [firstID]), ("service=web&maxDuration=1.5ms", ["2"]),
            ("service=web&limit=1", ["2"]), ("service=web&end=1700000000500000", [firstID]),
            ("service=web&start=1700000000500", ["2"]), ("service=web&start=1&end=2", []),
            ("traceID=2&traceID=\(firstID)", ["2", firstID]),
        ] as [(String, [String])])
    func search(query: String, wanted: [String]) {
        let response = filled().get("/api/traces?\(query)")
        #expect(response.status == 200)
        let ids = wanted.map { $0.count == 32 ? $0 : String(repeating: "0", count: 16 - $0.count) + $0 }
        #expect(response.text.hasSuffix(#""total":\#(wanted.count),"limit":0,"offset":0,"errors":null}"#))
        var rest = Substring(response.text)
        for id in ids {
            let place = rest.range(of: #"{"traceID":"\#(id)","spans""#)
            #expect(place != nil, "\(id) not in its place")
            if let place { rest = rest[place...] }
        }
    }

    @Test("Ids that are missing go to errors, with status 200")
    func missing() {
        let response = filled().get("/api/traces?traceID=2&traceID=abc")
        #expect(response.status == 200)
        let problem = #""errors":[{"code":404,"msg":"trace not found","traceID":"0000000000000abc"}]}"#
        #expect(response.text.hasSuffix(#""total":1,"limit":0,"offset":0,"# + problem))
    }

    @Test(
        "Parameter errors in Jaeger's words",
        arguments: [
            ("/api/traces", "parameter 'service' is required"),
            ("/api/traces?service=a&tag=x", "malformed 'tag' parameter, expecting key:value, received: x"),
            ("/api/traces?service=a&tags=x", "malformed 'tags' parameter, cannot unmarshal JSON: byte 0"),
            ("/api/traces?service=a&tags=%7B%22a%22%3A1%7D", "malformed 'tags' parameter"),
            (
                "/api/traces?service=a&start=x",
                #"unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax"#
            ),
            ("/api/traces?service=a&end=-5", "unable to parse param 'end'"),
            ("/api/traces?service=a&end=99999999999999999999", "unable to parse param 'end'"),
            ("/api/traces?service=a&limit=ten", "unable to parse param 'limit'"),
            ("/api/traces?service=a&limit=0", "unable to parse param 'limit': 0 is not from 1 to 10000"),
            (
                "/api/traces?service=a&minDuration=5",
                #"unable to parse param 'minDuration': time: invalid duration \"5\""#
            ),
            (
                "/api/traces?service=a&minDuration=2s&maxDuration=1s",
                "'maxDuration' should be greater than 'minDuration'"
            ),
            ("/api/traces?traceID=xyz", "cannot parse traceID param"),
            ("/api/traces/xyz", "'xyz' is not a trace id"), ("/api/traces/0", "'0' is not a trace id"),
            ("/api/traces/\(String(repeating: "1", count: 33))", "is not a trace id"),
            ("/api/operations", "parameter 'service' is required"),
            ("/api/operations?service=a&spanKind=x", "unsupported span kind: 'x'"),
            ("/api/dependencies?endTs=x", "unable to parse param 'endTs'"),
        ])
    func errors(target: String, says: String) {
        let daemon = filled()
        let response = daemon.get(target)
        #expect(response.status == 400)
        #expect(response.text.hasPrefix(#"{"data":null,"total":0,"limit":0,"offset":0,"errors":[{"code":400,"msg":""#))
        #expect(response.text.contains(says), "\(response.text)")
        #expect(daemon.rejected(.parameter) == 1)
    }

    @Test("Dependencies in the window, filtered by service")
    func dependencies() {
        let daemon = filled()
        let end = "endTs=1700000100000"
        let all = daemon.get("/api/dependencies?\(end)")
        let link = #"{"parent":"web","child":"Stock/1","callCount":1}"#
        let phone = #"{"parent":"Phone","child":"web","callCount":1}"#
        #expect(all.text == #"{"data":[\#(phone),\#(link)],"total":2,"limit":0,"offset":0,"errors":null}"#)
        #expect(all.header("crest-traces-read") == "2" && all.header("crest-partial") == nil)
        #expect(daemon.get("/api/dependencies?service=Stock/1").text.contains(#""data":[\#(link)],"total":1"#))
        #expect(daemon.get("/api/dependencies?\(end)&lookback=1000").text.contains(#""data":[]"#))
    }
}

@Suite struct ZipkinReadTests {
    @Test(
        "Lists in lower case, under both prefixes",
        arguments: [
            ("services", #"["stock/1","web"]"#), ("spans?serviceName=WEB", #"["get /buy"]"#),
            ("spans?serviceName=none", "[]"), ("remoteServices?serviceName=web", #"["phone"]"#),
            ("remoteServices?serviceName=stock/1", "[]"), ("autocompleteKeys", "[]"),
            ("autocompleteValues?key=a", "[]"),
            ("traceMany?traceIds=abc,def", "[]"),
        ])
    func lists(path: String, wanted: String) {
        let daemon = filled()
        for prefix in ["/api/v2/", "/zipkin/api/v2/"] {
            let response = daemon.get(prefix + path, .zipkin)
            #expect(response.status == 200 && response.text == wanted)
            #expect(response.header("content-type") == "application/json")
            #expect((response.header("cache-control") != nil) == (path == "autocompleteKeys"))
        }
    }

    @Test("Lists may be kept by browsers once there are more than three services")
    func caching() {
        let daemon = TestDaemon()
        daemon.store.add(
            (0..<4).map { number in
                SpanRecord(
                    traceID: TraceID(high: 0, low: 1), spanID: SpanID(UInt64(number + 1)), name: "x", start: 1, end: 1,
                    resource: Resource(serviceName: "s\(number)"))
            })
        #expect(daemon.get("/api/v2/services").header("cache-control") == "max-age=300, must-revalidate")
    }

    @Test(
        "Search",
        arguments: [
            ("", 2), ("serviceName=WEB", 2), ("serviceName=stock/1", 1), ("serviceName=none", 0),
            ("spanName=DEDUCT", 1),
            ("serviceName=web&spanName=deduct", 0), ("serviceName=all&spanName=all", 2),
            ("annotationQuery=sku%3Ds1", 1),
            ("annotationQuery=sku and error", 1), ("remoteServiceName=phone", 1), ("minDuration=1500", 1),
            ("minDuration=900&maxDuration=1000", 2), ("limit=1", 1), ("endTs=1700000000500&lookback=1000", 1),
            ("endTs=1700000000000&lookback=1", 1), ("endTs=1600000000000", 0),
        ])
    func search(query: String, count: Int) {
        let text = filled().get("/api/v2/traces?" + query.split(separator: " ").joined(separator: "+")).text
        #expect(text.hasPrefix("[") && text.hasSuffix("]"))
        let traces = text.components(of: "[{").count - 1
        #expect(traces == count, "\(text)")
        if count == 2, let late = text.range(of: #""0000000000000002""#), let early = text.range(of: firstID) {
            #expect(late < early, "newest first")
        }
    }

    @Test("A trace, or many, or a 404 that names the id")
    func traces() {
        let daemon = filled()
        #expect(daemon.get("/api/v2/trace/2").text.hasPrefix(#"[{"traceId":"0000000000000002","#))
        let missing = daemon.get("/api/v2/trace/abc")
        #expect(missing.status == 404 && missing.text == "abc not found\n")
        #expect(daemon.get("/api/v2/traceMany?traceIds=2,\(firstID),abc").text.components(of: "[{").count == 3)
    }

    @Test(
        "Parameter errors in Zipkin's words",
        arguments: [
            ("traces?limit=0", "limit <= 0"), ("traces?limit=-1", "limit <= 0"),
            ("traces?limit=x", "limit is not a number: x"),
            ("traces?endTs=0", "endTs <= 0"), ("traces?lookback=0", "lookback <= 0"),
            ("traces?minDuration=5&maxDuration=4", "maxDuration < minDuration"),
            ("traces?maxDuration=4", "maxDuration is only valid with minDuration"),
            ("dependencies", "endTs is required"), ("spans", "serviceName is required"),
            ("remoteServices", "serviceName is required"), ("autocompleteValues", "key is required"),
            ("traceMany", "traceIds parameter is empty"), ("traceMany?traceIds=1,2,01", "redundant traceId: 01"),
            ("traceMany?traceIds=1", "Use /api/v2/trace/{traceId} endpoint to retrieve a single trace"),
            ("traceMany?traceIds=1,x", "x should be 1 to 32 hexadecimal digits, not all zero"),
            ("trace/xyz", "xyz should be 1 to 32 hexadecimal digits, not all zero"),
        ])
    func errors(path: String, says: String) {
        let daemon = filled()
        let response = daemon.get("/api/v2/" + path)
        #expect(response.status == 400 && response.text == says + "\n")
        #expect(daemon.rejected(.parameter) == 1)
    }

    @Test("Dependencies with errors, in lower case")
    func dependencies() {
        let text = filled().get("/api/v2/dependencies?endTs=1700000100000").text
        #expect(
            text == #"[{"parent":"phone","child":"web","callCount":1,"errorCount":1},"#
                + #"{"parent":"web","child":"stock/1","callCount":1}]"#)
    }

    @Test("Health")
    func health() {
        let response = filled().get("/zipkin/health", .zipkin)
        #expect(response.text == #"{"status":"UP","zipkin":{"status":"UP","details":{}}}"#)
    }
}
