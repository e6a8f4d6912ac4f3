// Answers requests of the Prometheus query API from a file of samples, with the code that crestd answers with.
//
//     promql-check SAMPLES < REQUESTS
//
// SAMPLES holds OpenMetrics lines with times; each line of REQUESTS is a method, a path with its query and, for POST,
// a form. Each is answered by a line: the status and the body.

internal import Endpoints
internal import Foundation
internal import QueryEngine
internal import Synchronization
internal import Telemetry
internal import TestKit

/// No spans here.
struct NoSpans: SpanSink, SpanSource {
    func accept(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) { completion(.failure(.stopping)) }

    func parts() -> [any SpanPart] { [] }
    func services(tenant: String) -> [String] { [] }
    func operations(service: String?, tenant: String) -> [Telemetry.Operation] { [] }
}

func answer(_ line: String, _ router: Router) -> Response {
    let words = line.split(separator: " ", maxSplits: 2).map(String.init)
    var request = Request(method: words.first ?? "", target: words.count > 1 ? words[1] : "")
    if words.count > 2 {
        request.headers = [("content-type", "application/x-www-form-urlencoded")]
        request.body = Array(words[2].utf8)
    }
    let reply = Mutex<Response?>(nil)
    router.respond(to: request, listener: .http) { response in reply.withLock { $0 = response } }
    return reply.withLock { $0 } ?? Response(status: 500)
}

guard CommandLine.arguments.count == 2,
    let text = try? String(contentsOf: URL(filePath: CommandLine.arguments[1]), encoding: .utf8)
else {
    print("usage: promql-check SAMPLES < REQUESTS")
    exit(2)
}
var context = EndpointContext(
    sink: NoSpans(), source: NoSpans(), ledger: Ledger(), now: { UInt64(Date().timeIntervalSince1970 * 1e9) })
context.samples = MemorySamples(openMetrics: text)
let router = Router(context)
while let line = readLine() {
    let response = answer(line, router)
    print(response.status, String(decoding: response.body, as: UTF8.self))
}
