import SpanPipeline
import Telemetry
import Testing

private func span(
    _ service: String, _ kind: SpanKind, id: UInt64, parent: UInt64? = nil, remote: String? = nil,
    error: Bool = false, weight: Double = 1, marks: SpanMarks = []
) -> SpanRecord {
    SpanRecord(
        traceID: TraceID(high: 0, low: 1), spanID: SpanID(id), parentID: parent.map { SpanID($0) }, name: "x",
        kind: kind.rawValue, start: id, end: id + 1, status: error ? 2 : 0,
        attributes: remote.map { [Attribute("peer.service", .string($0))] } ?? [], marks: marks, weight: weight,
        resource: Resource(serviceName: service))
}

private func links(_ traces: [SpanRecord]...) -> [String] {
    var linker = DependencyLinker()
    for trace in traces { linker.add(trace, tree: TraceTree(trace)) }
    return linker.links.map { link in
        let errors = link.errorCount > 0 ? "!\(link.errorCount)" : ""
        return "\(link.parent)>\(link.child):\(link.callCount)\(errors)"
    }
}

@Suite struct DependencyLinkerTests {
    @Test("A client and a server span are one call, whether they share an id or not")
    func calls() {
        let separate = [
            span("web", .server, id: 1), span("web", .client, id: 2, parent: 1),
            span("stock", .server, id: 3, parent: 2),
        ]
        #expect(links(separate) == ["web>stock:1"])
        let shared = [
            span("web", .client, id: 2), span("stock", .server, id: 2, marks: .shared),
        ]
        #expect(links(shared) == ["web>stock:1"])
        #expect(links(separate, shared) == ["web>stock:2"])
    }

    @Test("The instrumented callee's own name is used, not what the client calls it")
    func remoteNameLoses() {
        let trace = [
            span("web", .client, id: 1, remote: "stock-alias"), span("stock", .server, id: 2, parent: 1),
        ]
        #expect(links(trace) == ["web>stock:1"])
    }

    @Test("A client without an instrumented callee links to the remote name")
    func leafClient() {
        let trace = [
            span("web", .server, id: 1), span("web", .client, id: 2, parent: 1, remote: "mysql", error: true),
            span("web", .internal, id: 3, parent: 2), span("web", .client, id: 4, parent: 1),
        ]
        #expect(links(trace) == ["web>mysql:1!1"])
    }

    @Test("A root server links from its remote name, if it has one")
    func rootServer() {
        #expect(links([span("web", .server, id: 1)]).isEmpty)
        #expect(links([span("web", .server, id: 1, remote: "phone")]) == ["phone>web:1"])
    }

    @Test("Services between without a name are looked through")
    func namelessBetween() {
        let trace = [
            span("web", .server, id: 1), span("", .client, id: 2, parent: 1), span("stock", .server, id: 3, parent: 2),
        ]
        #expect(links(trace) == ["web>stock:1"])
    }

    @Test("Messages go through the broker when it is named, and directly when it is not")
    func messaging() {
        let named = [
            span("order", .producer, id: 1, remote: "kafka"),
            span("payment", .consumer, id: 2, parent: 1, remote: "kafka"),
        ]
        #expect(links(named) == ["kafka>payment:1", "order>kafka:1"])
        let unnamed = [span("order", .producer, id: 1), span("payment", .consumer, id: 2, parent: 1)]
        #expect(links(unnamed) == ["order>payment:1"])
    }

    @Test("A span of another service below any span is a call")
    func foreignChild() {
        #expect(links([span("a", .internal, id: 1), span("b", .internal, id: 2, parent: 1)]) == ["a>b:1"])
        #expect(
            links([span("a", .internal, id: 1), span("b", .client, id: 2, parent: 1, remote: "c")])
                == ["a>b:1", "b>c:1"])
        #expect(links([span("a", .internal, id: 1), span("a", .internal, id: 2, parent: 1)]).isEmpty)
    }

    @Test("Errors of either half count once; weights count as many calls")
    func errorsAndWeights() {
        let clientFailed = [
            span("web", .client, id: 1, error: true), span("stock", .server, id: 2, parent: 1),
        ]
        let bothFailed = [
            span("web", .client, id: 1, error: true), span("stock", .server, id: 2, parent: 1, error: true),
        ]
        #expect(links(clientFailed, bothFailed) == ["web>stock:2!2"])
        let thinned = [span("web", .client, id: 1), span("stock", .server, id: 2, parent: 1, weight: 8)]
        #expect(links(thinned, clientFailed) == ["web>stock:9!1"])
    }
}
