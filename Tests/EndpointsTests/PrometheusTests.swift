import Endpoints
import QueryEngine
import Synchronization
import Telemetry
import TestKit
import Testing

@Suite("Prometheus API")
struct PrometheusTests {
    private func router(_ samples: (any SampleSource)? = PrometheusTests.samples) -> Router {
        let store = MemoryStore()
        var context = EndpointContext(
            sink: store, source: store, ledger: Ledger(), now: { 20_500_000_000 })
        context.samples = samples
        return Router(context)
    }

    private static let samples = MemorySamples([
        SampledSeries(
            labels: [("__name__", "g"), ("x", "é\"")], timestamps: [10_000, 20_250], values: [1, .infinity])
    ])

    private func ask(
        _ method: String, _ path: String, form: String? = nil, samples: (any SampleSource)? = PrometheusTests.samples
    ) -> (status: Int, body: String) {
        var request = Request(method: method, target: "/prometheus/api/v1/" + path)
        if let form {
            request.headers = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")]
            request.body = Array(form.utf8)
        }
        let reply = Mutex<Response?>(nil)
        router(samples).respond(to: request, listener: .http) { response in reply.withLock { $0 = response } }
        let response = reply.withLock { $0 }
        return (response?.status ?? 0, String(decoding: response?.body ?? [], as: UTF8.self))
    }

    private static let vector =
        #"{"status":"success","data":{"resultType":"vector","result":[{"metric":"#
        + #"{"__name__":"g","x":"é\""},"value":[20.500,"+Inf"]}]}}"#

    @Test(
        "Bodies to the letter",
        arguments: [
            ("query?query=g", 200, vector),
            ("query?query=1.5&time=7", 200, #"{"status":"success","data":{"resultType":"scalar","result":[7,"1.5"]}}"#),
            (
                "query?query='a'&time=0.007", 200,
                #"{"status":"success","data":{"resultType":"string","result":[0.007,"a"]}}"#
            ),
            (
                "query_range?query=g&start=10&end=30&step=10", 200,
                #"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"g","x":"é\""},"#
                    + #""values":[[10,"1"],[20,"1"],[30,"+Inf"]]}]}}"#
            ),
            (
                "query?query=g%5B", 400,
                #"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": 1:3: parse error: "#
                    + #"unexpected end of input, expected a duration in a range"}"#
            ),
            (
                "query?query=topk(NaN,g)", 422,
                #"{"status":"error","errorType":"execution","error":"Scalar value NaN overflows int64"}"#
            ),
            (
                "query_range?query=g&start=2&end=1&step=1", 400,
                #"{"status":"error","errorType":"bad_data","error":"invalid parameter \"end\": end timestamp must not "#
                    + #"be before start time"}"#
            ),
            ("labels", 200, #"{"status":"success","data":["__name__","x"]}"#),
            ("label/x/values", 200, #"{"status":"success","data":["é\""]}"#),
            ("series?match%5B%5D=g", 200, #"{"status":"success","data":[{"__name__":"g","x":"é\""}]}"#),
            ("series", 400, #"{"status":"error","errorType":"bad_data","error":"no match[] parameter provided"}"#),
            ("metadata", 200, #"{"status":"success","data":{}}"#),
            (
                "nothing", 404,
                #"{"status":"error","errorType":"not_found","error":"no such path: /prometheus/api/v1/nothing"}"#
            ),
            (
                "query?query=%zz", 400,
                #"{"status":"error","errorType":"bad_data","error":"malformed percent-encoding in the query string at "#
                    + #"offset 0"}"#
            ),
        ])
    func bodies(path: String, status: Int, body: String) {
        let reply = ask("GET", path)
        #expect(reply.status == status)
        #expect(reply.body == body)
    }

    @Test("A form is read as the address is")
    func forms() {
        #expect(ask("POST", "query", form: "query=g").body == Self.vector)
        #expect(ask("POST", "query?query=1", form: "query=g").body == Self.vector)
        #expect(ask("POST", "query?query=g", form: "").body == Self.vector)
        #expect(ask("POST", "labels", form: "match[]=g").status == 200)
        #expect(ask("POST", "query", form: "query=%").status == 400)
        #expect(ask("PUT", "query", form: "query=g").status == 405)
    }

    @Test("Without recorded series the API says so")
    func unavailable() {
        let reply = ask("GET", "query?query=1", samples: nil)
        #expect(reply.status == 503)
        #expect(reply.body.contains(#""errorType":"unavailable""#))
    }
}
