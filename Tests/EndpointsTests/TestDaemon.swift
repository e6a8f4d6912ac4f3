import Bytes
import Endpoints
import QueryEngine
import Synchronization
import Telemetry

/// A store in memory behind the endpoints: what the sink takes the source shows at once.
final class MemoryStore: SpanSink, SpanSource {
    private let state = Mutex(State())

    private struct State {
        var records: [SpanRecord] = []
        var sequence: UInt64 = 0
        var refusal: CommitRefusal?
        var stored: UInt64 = 0
        var readFailure: ReadError?
    }

    var refusal: CommitRefusal? {
        get { state.withLock { $0.refusal } }
        set { state.withLock { $0.refusal = newValue } }
    }
    var readFailure: ReadError? {
        get { state.withLock { $0.readFailure } }
        set { state.withLock { $0.readFailure = newValue } }
    }
    var records: [SpanRecord] { state.withLock { $0.records } }
    var counts: StoreCounts {
        let stored = state.withLock { $0.stored }
        var counts = StoreCounts()
        counts.stored = stored
        counts.live = stored
        return counts
    }
    var sequence: UInt64 { state.withLock { $0.sequence } }

    func accept(
        _ batch: SpanBatch, completion: @escaping @Sendable (Result<CommitReceipt, CommitRefusal>) -> Void
    ) {
        let result = state.withLock { state -> Result<CommitReceipt, CommitRefusal> in
            if let refusal = state.refusal { return .failure(refusal) }
            state.records += batch.spans.indices.map { batch.record($0) }
            state.stored += UInt64(batch.spans.count)
            state.sequence += 1
            return .success(CommitReceipt(sequence: state.sequence, durability: .synced))
        }
        completion(result)
    }

    func add(_ records: [SpanRecord]) { state.withLock { $0.records += records } }

    func parts() -> [any SpanPart] {
        let (records, failure) = state.withLock { ($0.records, $0.readFailure) }
        return records.isEmpty ? [] : [RecordsPart(records: records, failure: failure)]
    }

    func services(tenant: String) -> [String] { Set(records.map(\.serviceName)).sorted() }

    func operations(service: String?, tenant: String) -> [Operation] {
        let chosen = records.filter { service == nil || $0.serviceName == service }
        return Set(chosen.map { Operation(name: $0.name, kind: SpanKind(rawValue: $0.kind) ?? .unspecified) })
            .sorted { ($0.name, $0.kind.rawValue) < ($1.name, $1.kind.rawValue) }
    }
}

private struct RecordsPart: SpanPart {
    let records: [SpanRecord]
    let failure: ReadError?

    var starts: ClosedRange<UInt64> {
        (records.map(\.start).min() ?? 0)...(records.map(\.start).max() ?? 0)
    }
    var spanCount: Int { records.count }

    func extents(matching filter: SpanFilter, budget: QueryBudget) throws(ReadError) -> [TraceExtent] {
        if let failure { throw failure }
        return Set(records.filter { filter.matches($0) }.map(\.traceID)).compactMap { whole($0) }
    }

    func extent(of traceID: TraceID, tenant: String) throws(ReadError) -> TraceExtent? { whole(traceID) }

    private func whole(_ traceID: TraceID) -> TraceExtent? {
        let spans = records.filter { $0.traceID == traceID }
        guard let start = spans.map(\.start).min(), let end = spans.map(\.end).max() else { return nil }
        return TraceExtent(traceID: traceID, start: start, end: end)
    }

    func spans(of traceID: TraceID, tenant: String, budget: QueryBudget) throws(ReadError) -> [SpanRecord] {
        if let failure { throw failure }
        return records.filter { $0.traceID == traceID }
    }
}

/// A router over a memory store, with a clock that stands still.
struct TestDaemon {
    static let now: UInt64 = 1_700_000_100_000_000_000
    let store = MemoryStore()
    let ledger = Ledger()
    let router: Router

    init(_ change: (inout EndpointContext) -> Void = { _ in }) {
        let store = store
        var context = EndpointContext(sink: store, source: store, ledger: ledger, now: { Self.now })
        context.daemon.store = { store.counts }
        context.daemon.durableSequence = { store.sequence }
        change(&context)
        router = Router(context)
    }

    func send(_ request: Request, _ listener: ListenerRole = .http) -> Response {
        let answer = Mutex<[Response]>([])
        router.respond(to: request, listener: listener) { response in answer.withLock { $0.append(response) } }
        let answers = answer.withLock { $0 }
        return answers.count == 1 ? answers[0] : Response(status: 0, body: Array("\(answers.count) answers".utf8))
    }

    /// What is answered before the body is read.
    func early(_ head: Request, _ listener: ListenerRole = .http) -> Response? {
        var head = head
        return router.refusal(beforeBodyOf: &head, listener: listener)
    }

    func get(_ target: String, _ listener: ListenerRole = .http) -> Response {
        send(Request(method: "GET", target: target), listener)
    }

    func post(
        _ target: String, _ body: [UInt8], type: String? = nil, encoding: String? = nil,
        _ listener: ListenerRole = .http
    ) -> Response {
        var request = Request(method: "POST", target: target, body: body)
        if let type { request.headers.append(("content-type", type)) }
        if let encoding { request.headers.append(("content-encoding", encoding)) }
        return send(request, listener)
    }

    /// The requests rejected for a reason.
    func rejected(_ reason: RequestRejection) -> UInt64 {
        ledger.requestsRejected.counts.first { $0.reason == reason }?.count ?? 0
    }

    func rejectedSpans(_ reason: SpanRejection) -> UInt64 {
        ledger.spansRejected.counts.first { $0.reason == reason }?.count ?? 0
    }
}

extension Response {
    var text: String { String(decoding: body, as: UTF8.self) }
}

extension String {
    var bytes: [UInt8] { Array(utf8) }
}

/// Two traces of a small shop: the second is later, shorter and failed.
let shop: [SpanRecord] = {
    let base: UInt64 = 1_700_000_000_000_000_000
    let web = Resource(attributes: [Attribute("service.name", .string("web"))], serviceName: "web")
    let stock = Resource(attributes: [Attribute("service.name", .string("Stock/1"))], serviceName: "Stock/1")
    let first = TraceID(high: 0xa, low: 1)
    let second = TraceID(high: 0, low: 2)
    return [
        SpanRecord(
            traceID: first, spanID: SpanID(1), name: "GET /buy", kind: 2, start: base, end: base + 5_000_000,
            attributes: [Attribute("sku", .string("s1"))], resource: web),
        SpanRecord(
            traceID: first, spanID: SpanID(2), parentID: SpanID(1), name: "deduct", kind: 2, start: base + 1_000_000,
            end: base + 2_000_000, resource: stock),
        SpanRecord(
            traceID: second, spanID: SpanID(1), name: "GET /buy", kind: 2, start: base + 1_000_000_000,
            end: base + 1_001_000_000, status: 2, statusMessage: "sold out",
            attributes: [Attribute("sku", .string("s2")), Attribute("peer.service", .string("Phone"))],
            resource: web),
    ]
}()
let firstID = "000000000000000a0000000000000001"
