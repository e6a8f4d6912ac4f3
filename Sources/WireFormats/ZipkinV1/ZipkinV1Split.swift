internal import Telemetry

/// Takes a span of version 1 apart into those of version 2: one for each service that annotated it.
///
/// The two-letter annotations say which side of a call (`cs cr sr ss`) or message (`ms ws wr mr`) a service was, and
/// when it began and ended; `ca`, `sa` and `ma` are the address of the other side.
/// Source: schemas/wire/zipkin-v1.md, "From one span to several"; the behaviour of Zipkin's converter.
struct ZipkinV1Split {
    private typealias Annotation = ZipkinV1Span.Annotation

    /// The annotations that tell a side and a moment.
    private enum Moment: String, CaseIterable {
        case clientSend = "cs"
        case clientReceive = "cr"
        case serverReceive = "sr"
        case serverSend = "ss"
        case messageSend = "ms"
        case messageReceive = "mr"
        case wireSend = "ws"
        case wireReceive = "wr"

        var kind: SpanKind? {
            switch self {
            case .clientSend, .clientReceive: .client
            case .serverReceive, .serverSend: .server
            case .messageSend: .producer
            case .messageReceive: .consumer
            case .wireSend, .wireReceive: nil
            }
        }
    }

    private let source: ZipkinV1Span
    /// At least one; the first also takes what names no endpoint.
    private var halves = [ZipkinV1Half()]
    private var moments: [Moment: Annotation] = [:]

    init(_ source: ZipkinV1Span) {
        self.source = source
        placeAnnotations()
        addMissingStarts()
        timeCall()
        timeMessage()
        placeTags()
    }

    var spans: [ZipkinSpanDraft] {
        var shared = source.shared
        var spans: [ZipkinSpanDraft] = []
        for half in halves {
            spans.append(half.span(shared))
            // What was dropped is told once.
            (shared.droppedTags, shared.droppedEvents) = (0, 0)
        }
        return spans
    }

    /// The half of an endpoint, made on first sight; the first one when there is no endpoint or no room for another.
    private mutating func half(of endpoint: ZipkinEndpoint?) -> Int {
        guard let endpoint else { return 0 }
        for index in halves.indices {
            guard let local = halves[index].local else {
                halves[index].local = endpoint
                return index
            }
            if local.serviceName == endpoint.serviceName { return index }
        }
        return newHalf(endpoint) ?? 0
    }

    private mutating func newHalf(_ endpoint: ZipkinEndpoint?) -> Int? {
        guard halves.count < Limits.servicesPerZipkinSpan else { return nil }
        halves.append(ZipkinV1Half(local: endpoint))
        return halves.count - 1
    }

    // MARK: Annotations

    private mutating func placeAnnotations() {
        for annotation in source.annotations {
            let index = half(of: annotation.endpoint)
            // Without an endpoint nobody knows whose moment it is.
            guard annotation.endpoint != nil, let moment = Moment(rawValue: annotation.value) else {
                halves[index].annotations.append(annotation)
                continue
            }
            moments[moment] = annotation
            if let kind = moment.kind { halves[index].kind = kind }
        }
    }

    /// An end that lies just a duration behind the timestamp of the span tells its start.
    private mutating func addMissingStarts() {
        for (start, end) in [(Moment.clientSend, Moment.clientReceive), (.serverReceive, .serverSend)] {
            guard moments[start] == nil, let annotation = moments[end], source.timestamp != 0, source.duration != 0,
                source.timestamp &+ source.duration == annotation.time
            else { continue }
            moments[start] = Annotation(
                time: source.timestamp, value: start.rawValue, endpoint: annotation.endpoint)
        }
    }

    // MARK: Calls

    private mutating func timeCall() {
        let (clientSend, serverReceive) = (moments[.clientSend], moments[.serverReceive])
        if let clientSend, let serverReceive {
            timeBothSides(clientSend, serverReceive)
        } else if let clientSend, moments[.clientReceive] != nil {
            time(clientSend, moments[.clientReceive])
        } else if let serverReceive, moments[.serverSend] != nil {
            time(serverReceive, moments[.serverSend])
        } else {
            timeIncomplete()
        }
        // Version 1 had no `shared`: who joined a span of a client left timestamp or duration to it.
        if clientSend == nil, let serverReceive,
            source.timestamp == 0 || (moments[.serverSend] != nil && source.duration == 0)
        {
            halves[half(of: serverReceive.endpoint)].isShared = true
        }
    }

    private mutating func timeBothSides(_ clientSend: Annotation, _ serverReceive: Annotation) {
        time(clientSend, moments[.clientReceive])
        let client = half(of: clientSend.endpoint)
        let server = otherSide(client, serverReceive, kinds: (.client, .server))
        halves[server].isShared = true
        halves[server].timestamp = serverReceive.time
        if let end = moments[.serverSend] { halves[server].duration = Self.distance(serverReceive.time, end.time) }
        // A call without an answer has no duration.
        if moments[.clientReceive] == nil, source.duration == 0, client != server { halves[client].duration = 0 }
    }

    /// The half of the second side: a new one when a service calls itself.
    private mutating func otherSide(
        _ first: Int, _ annotation: Annotation, kinds: (first: SpanKind, second: SpanKind)
    ) -> Int {
        let second = half(of: annotation.endpoint)
        guard second == first else { return second }
        halves[first].kind = kinds.first
        guard let new = newHalf(annotation.endpoint) else { return second }
        halves[new].kind = kinds.second
        return new
    }

    /// The span's own times where it has both, else those of its annotations.
    private mutating func time(_ begin: Annotation, _ end: Annotation?) {
        let index = half(of: begin.endpoint)
        if source.timestamp != 0, source.duration != 0 {
            (halves[index].timestamp, halves[index].duration) = (source.timestamp, source.duration)
        } else {
            halves[index].timestamp = begin.time
            if let end { halves[index].duration = Self.distance(begin.time, end.time) }
        }
    }

    /// Zero, for absent, when the end lies before the begin.
    private static func distance(_ begin: UInt64, _ end: UInt64) -> UInt64 { end > begin ? end - begin : 0 }

    /// One moment of a side says when it began, or is kept as a plain annotation.
    private mutating func timeIncomplete() {
        for index in halves.indices {
            let isClient = halves[index].kind == .client
            guard isClient || halves[index].kind == .server else { continue }
            if let begin = moments[isClient ? .clientSend : .serverReceive] { halves[index].timestamp = begin.time }
            if let end = moments[isClient ? .clientReceive : .serverSend] { halves[index].annotations.append(end) }
        }
        if source.timestamp != 0 {
            (halves[0].timestamp, halves[0].duration) = (source.timestamp, source.duration)
        }
    }

    // MARK: Messages

    private mutating func timeMessage() {
        let (sent, received) = (moments[.messageSend], moments[.messageReceive])
        let (wireSend, wireReceive) = (moments[.wireSend], moments[.wireReceive])
        if let sent, let received {
            timeBothSides(sent: sent, received: received)
        } else if let sent {
            time(sent, wireSend)
            keep(wireReceive)
        } else if let received {
            if let wireReceive { time(wireReceive, received) } else { time(received, nil) }
            keep(wireSend)
        } else {
            keep(wireSend)
            keep(wireReceive)
        }
    }

    private mutating func timeBothSides(sent: Annotation, received: Annotation) {
        let producer = half(of: sent.endpoint)
        let consumer = otherSide(producer, received, kinds: (.producer, .consumer))
        halves[consumer].isShared = true
        halves[consumer].timestamp = moments[.wireReceive]?.time ?? received.time
        halves[consumer].duration = Self.distance(halves[consumer].timestamp, received.time)
        guard producer != consumer else { return }
        halves[producer].timestamp = sent.time
        halves[producer].duration = moments[.wireSend].map { Self.distance(sent.time, $0.time) } ?? 0
    }

    private mutating func keep(_ annotation: Annotation?) {
        guard let annotation else { return }
        halves[half(of: annotation.endpoint)].annotations.append(annotation)
    }

    // MARK: Tags and addresses

    private mutating func placeTags() {
        var addresses: [String: ZipkinEndpoint] = [:]
        for tag in source.tags {
            if ["ca", "sa", "ma"].contains(tag.key), let endpoint = tag.endpoint {
                addresses[tag.key] = endpoint
                continue
            }
            let index = half(of: tag.endpoint)
            // `lc` without a text only says who made the span.
            if tag.key == "lc", tag.value == .string("") { continue }
            halves[index].tags.append(tag)
        }
        if [.clientSend, .clientReceive, .serverReceive, .serverSend].contains(where: { moments[$0] != nil }) {
            placeCallAddresses(client: addresses["ca"], server: addresses["sa"])
        } else {
            placeLoneAddresses(client: addresses["ca"], server: addresses["sa"])
        }
        guard let broker = addresses["ma"] else { return }
        for moment in [moments[.messageSend], moments[.messageReceive]] {
            if let moment { halves[half(of: moment.endpoint)].remote = broker }
        }
    }

    private mutating func placeCallAddresses(client: ZipkinEndpoint?, server: ZipkinEndpoint?) {
        if var client, let annotation = moments[.serverReceive] ?? moments[.serverSend],
            let local = annotation.endpoint, client != local
        {
            // Some servers write the client's port under their own name; that is no call to oneself.
            if client.serviceName == local.serviceName { client.serviceName = "" }
            halves[serverHalf(of: local)].remote = client
        }
        if let server, let annotation = moments[.clientSend] ?? moments[.clientReceive] {
            halves[half(of: annotation.endpoint)].remote = server
        }
    }

    /// Addresses without a call: the server's is only a remote one, the client's makes a server.
    private mutating func placeLoneAddresses(client: ZipkinEndpoint?, server: ZipkinEndpoint?) {
        if let client, let server {
            halves[half(of: client)].remote = server
        } else if let server {
            halves[0].remote = server
        } else if let client {
            halves[0].kind = .server
            halves[0].remote = client
        }
    }

    /// Where a service calls itself its server half is not the first with its name.
    private mutating func serverHalf(of endpoint: ZipkinEndpoint) -> Int {
        let named = halves.firstIndex { $0.kind == .server && $0.local?.serviceName == endpoint.serviceName }
        return named ?? half(of: endpoint)
    }
}
