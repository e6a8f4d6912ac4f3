internal import Endpoints
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Telemetry

/// One HTTP/1 connection: collects a request, has it answered, writes the answer, goes on with the next.
///
///     idle -> receiving -> answering -> flushing -> idle ...
///         \________\___________\___________\____-> lingering -> closed
///
/// Belongs to its event loop. Requests that arrive while one is being answered wait in `backlog`, and the socket is
/// not read meanwhile, so that the backlog holds at most what one round of reads brought in.
final class HTTPConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private enum State {
        /// Waits for the head of a request.
        case idle
        case receiving
        /// Refused before its body was read; the answer is held back, and nothing is read meanwhile.
        case holding
        /// Answered before its body was read; the body is dropped.
        case dropping
        /// The request is with the service.
        case answering
        /// The response waits for the peer to read.
        case flushing
        /// Refused or finished: our side is closed, what the peer still sends is dropped.
        case lingering
        case closed
    }

    private enum Arrival {
        case part(HTTPServerRequestPart)
        case refusal(HTTPRefusal)
        case end
    }

    private let service: HTTPService
    private let pools: HTTPPools
    private let table: HTTPConnectionTable
    private var limits: HTTPLimits { table.shared.limits }

    private var context: ChannelHandlerContext?
    private var state = State.idle
    /// When `state` was entered; for `idle`, also moved by the first byte of a head.
    private var since = NIODeadline.now()
    /// Of the body that comes.
    private var speed = BodySpeed(least: 0, over: .zero)
    private var overhead = ChunkOverhead()
    private let meter: WireMeter
    /// What the meter showed after the read before.
    private var metered = 0
    /// True in `idle` when bytes of a head came and its end has not.
    private var isHeadUnderway = false
    /// A head was taken in this round of reads.
    private var sawHead = false
    private var hasPeerEnded = false
    private var isOutputClosed = false
    private var backlog = CircularBuffer<Arrival>()
    private var isPumping = false
    private var isReading = false
    private var wantsRead = false
    private var needsFlush = false

    // The request being received or answered.
    private var request = HTTPConnection.noRequest
    private static let noRequest = Request(method: "", target: "")
    private var budget: QueryBudget?
    private var peer: PeerAddress?
    private var closesAfterResponse = false
    /// The end of a request came while its answer was held back.
    private var isRequestWhole = false
    /// Tells replies to this request from late ones to an earlier one.
    private var requestNumber: UInt64 = 0

    /// - Parameter meter: stands before the parser in the same pipeline.
    init(service: HTTPService, pools: HTTPPools, table: HTTPConnectionTable, meter: WireMeter) {
        self.meter = meter
        self.service = service
        self.pools = pools
        self.table = table
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = context.channel.remoteAddress.flatMap { PeerAddress($0) }
        table.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        arrive(.part(unwrapInboundIn(data)))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        checkOverhead()
        flushNow()
        if case .idle = state, !sawHead, !isHeadUnderway {
            // Bytes came that make no whole head yet.
            isHeadUnderway = true
            since = .now()
        }
        sawHead = false
    }

    /// Looks at a read in which a body went on: all of it belongs to that body. Chunked ones are not dropped but closed.
    private func checkOverhead() {
        let wireBytes = meter.bytes &- metered
        metered = meter.bytes
        guard case .receiving = state else { return }
        if !overhead.endRead(wireBytes: wireBytes, most: limits.chunkOverheadBytes) {
            refuse(.malformed("chunks are mostly no data"))
        }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case ChannelEvent.inputClosed? = event as? ChannelEvent { arrive(.end) }
        context.fireUserInboundEventTriggered(event)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .flushing = state { settle() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let parserError = error as? HTTPParserError else {
            // A reset or another failure of the socket; bytes after a parser error are no news.
            if error is IOError { context.close(promise: nil) }
            return
        }
        switch parserError {
        case .headerOverflow: arrive(.refusal(.headerTooLarge(limit: limits.headerBytes)))
        case .invalidVersion: arrive(.refusal(.version))
        case .invalidEOFState: arrive(.end)
        default: arrive(.refusal(.malformed("\(parserError)")))
        }
    }

    func read(context: ChannelHandlerContext) {
        switch state {
        case .holding, .answering, .flushing: wantsRead = true
        case .idle, .receiving, .dropping, .lingering, .closed: context.read()
        }
    }

    // MARK: Order

    private var takesArrivals: Bool {
        switch state {
        case .idle, .receiving, .dropping, .lingering, .closed: true
        case .holding, .answering, .flushing: false
        }
    }

    /// What is left of a request whose answer is held back takes no memory.
    private func isDropped(_ arrival: Arrival) -> Bool {
        guard case .holding = state, !isRequestWhole, case .part(let part) = arrival else { return false }
        if case .head = part { return false }
        return true
    }

    private func arrive(_ arrival: Arrival) {
        backlog.append(arrival)
        pump()
    }

    /// Works off the backlog as far as the state allows. A loop, not a recursion: an answer that comes at once
    /// returns here.
    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        while let arrival = backlog.first, takesArrivals || isDropped(arrival) {
            backlog.removeFirst()
            take(arrival)
        }
        isPumping = false
        if !isReading { flushNow() }
        if takesArrivals && wantsRead {
            wantsRead = false
            context?.read()
        }
    }

    private func take(_ arrival: Arrival) {
        switch (arrival, state) {
        case (_, .closed): break
        case (.end, _): end()
        case (_, .lingering): break
        case (.refusal(let refusal), _): refuse(refusal)
        case (.part(.head(let head)), .idle): begin(head)
        case (.part(.body(let bytes)), .receiving): collect(bytes)
        case (.part(.end), .receiving): hand()
        case (.part(.body(let bytes)), .dropping): speed.take(bytes.readableBytes)
        case (.part(.body), .holding): break
        case (.part(.end), .holding): isRequestWhole = true
        case (.part(.end), .dropping): settle()
        case (.part, _): refuse(.malformed("unexpected part of a message"))
        }
    }

    /// The peer sends nothing more. A request that was complete is answered already, one that was not is dropped.
    private func end() {
        hasPeerEnded = true
        if case .lingering = state {
            if isOutputClosed { abandon() }
        } else {
            linger()
        }
    }

    // MARK: Request

    private func begin(_ head: HTTPRequestHead) {
        sawHead = true
        isHeadUnderway = false
        if let ambiguity = head.ambiguity { return refuse(.malformed(ambiguity)) }
        requestNumber &+= 1
        closesAfterResponse = !head.isKeepAlive || head.offersUpgrade
        enter(.receiving)
        let length = head.headers.first(name: "content-length").flatMap { Int($0) }
        let hasBody = (length ?? 0) > 0 || head.headers.contains(name: "transfer-encoding")
        request = Request(
            method: head.method.rawValue, target: head.uri,
            headers: head.headers.map { ($0.name.lowercased(), $0.value) })
        request.peer = peer
        if hasBody { beginBody(length) }
    }

    /// - Parameter length: the announced length; nil for a chunked body.
    private func beginBody(_ length: Int?) {
        let announced = length ?? 0
        guard announced <= limits.bodyBytes else { return refuse(.bodyTooLarge(limit: limits.bodyBytes)) }
        let expectsContinue = request.header("expect")?.lowercased() == "100-continue"
        if let response = service.preempt(&request) {
            // A short body is cheaper to drop than a new connection to make.
            let isShort = length.map { $0 <= 1 << 20 } ?? false
            return preempt(with: response, closing: expectsContinue || !isShort)
        }
        guard reserve(announced) else { return refuse(.busy(retryAfter: 1)) }
        // A length is only a claim: room beyond a mebibyte is made as bytes come.
        request.body.reserveCapacity(min(announced, 1 << 20))
        if expectsContinue { write(ByteBuffer(string: "HTTP/1.1 100 Continue\r\n\r\n")) }
    }

    private func preempt(with response: Response, closing: Bool) {
        if closing { closesAfterResponse = true }
        guard let delay = table.delay(of: response) else { return finishPreempting(with: response) }
        enter(.holding)
        isRequestWhole = false
        let number = requestNumber
        table.eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            guard case .holding = state, number == requestNumber else { return }
            finishPreempting(with: response)
            pump()
        }
    }

    private func finishPreempting(with response: Response) {
        send(response)
        if closesAfterResponse || table.shared.drains { return linger() }
        let isDropped = isRequestWhole
        isRequestWhole = false
        enter(.dropping)
        if isDropped { settle() }
    }

    private func collect(_ bytes: ByteBuffer) {
        speed.take(bytes.readableBytes)
        overhead.take(bytes.readableBytes)
        let total = request.body.count &+ bytes.readableBytes
        guard total <= limits.bodyBytes else { return refuse(.bodyTooLarge(limit: limits.bodyBytes)) }
        // Chunked bodies have announced nothing; they take their memory as they come.
        guard reserve(total) else { return refuse(.busy(retryAfter: 1)) }
        bytes.withUnsafeReadableBytes { request.body.append(contentsOf: $0) }
    }

    /// Takes the memory for a body of so many bytes.
    private func reserve(_ count: Int) -> Bool {
        let reservation = request.reservation ?? MemoryReservation(table.shared.budget)
        request.reservation = reservation
        return reservation.cover(body: count) == nil
    }

    private func hand() {
        request.completedNanoseconds = monotonicNanoseconds()
        let request = self.request
        self.request.body = []
        let budget = QueryBudget()
        self.budget = budget
        enter(.answering)
        let (number, eventLoop) = (requestNumber, table.eventLoop)
        let connection = NIOLoopBound(self, eventLoop: eventLoop)
        let reply: @Sendable (Response) -> Void = { response in
            if eventLoop.inEventLoop {
                connection.value.complete(response, number: number)
            } else {
                eventLoop.execute { connection.value.complete(response, number: number) }
            }
        }
        switch service.lane(request) {
        case .loop: service.respond(request, budget, reply)
        case .pool:
            pools.pool.submit(request) { [service] in service.respond(request, budget, reply) }
        case .query:
            let shared = table.shared
            guard shared.enterQuery() else { return reply(service.refuse(.queries, request)) }
            pools.queries.submit { [service] state in
                guard case .active = state else { return shared.leaveQuery() }
                service.respond(request, budget) { response in
                    shared.leaveQuery()
                    reply(response)
                }
            }
        }
    }

    // MARK: Response

    private func complete(_ response: Response, number: UInt64) {
        guard case .answering = state, number == requestNumber else { return }
        budget = nil
        releaseMemory()
        guard let delay = table.delay(of: response) else { return deliver(response) }
        table.eventLoop.assumeIsolated().scheduleTask(in: delay) { [self] in
            if case .answering = state, number == requestNumber { deliver(response) }
        }
    }

    private func deliver(_ response: Response) {
        send(response)
        if closesAfterResponse || table.shared.drains {
            linger()
        } else {
            enter(.flushing)
            if !isPumping && !isReading { flushNow() }
            settle()
        }
        pump()
    }

    /// After a response: on to the next request as soon as the peer keeps up.
    private func settle() {
        switch state {
        case .flushing where context?.channel.isWritable == true: enter(.idle)
        case .dropping: enter(context?.channel.isWritable == true ? .idle : .flushing)
        default: return
        }
        pump()
    }

    private func refuse(_ refusal: HTTPRefusal) {
        closesAfterResponse = true
        if case .receiving = state { request.body = [] } else { request = Self.noRequest }
        request.peer = peer
        send(service.refuse(refusal, request))
        releaseMemory()
        linger()
    }

    private func send(_ response: Response) {
        guard let context else { return }
        let closes = closesAfterResponse || table.shared.drains
        let framing = ResponseFraming(sendsBody: request.method != "HEAD", closes: closes)
        var buffer = context.channel.allocator.buffer(capacity: headBytes(of: response) + response.body.count)
        buffer.writeResponse(response, framing: framing)
        write(buffer)
    }

    private func write(_ buffer: ByteBuffer) {
        context?.write(wrapOutboundOut(buffer), promise: nil)
        needsFlush = true
        if !isReading && !isPumping { flushNow() }
    }

    private func flushNow() {
        guard needsFlush else { return }
        needsFlush = false
        context?.flush()
    }

    // MARK: End

    /// Sends what is written, closes our side, and reads on for a while: closing with unread bytes in the socket
    /// would reset the connection and could take the answer from the peer.
    private func linger() {
        guard let context else { return }
        enter(.lingering)
        needsFlush = false
        context.writeAndFlush(wrapOutboundOut(ByteBuffer())).assumeIsolated().whenComplete { [self] _ in
            isOutputClosed = true
            context.close(mode: hasPeerEnded ? .all : .output, promise: nil)
        }
        if wantsRead {
            wantsRead = false
            context.read()
        }
    }

    private func enter(_ next: State) {
        state = next
        since = .now()
        switch next {
        case .receiving, .dropping:
            speed = BodySpeed(least: limits.bodyBytesPerSecond, over: limits.bodySpeedPeriod, from: since)
            overhead = ChunkOverhead()
        default: break
        }
    }

    private func releaseMemory() {
        request.reservation?.release()
        request.reservation = nil
    }

    private func finish() {
        if case .closed = state { return }
        enter(.closed)
        budget?.cancel()
        // What still works on the request holds its memory until that is done.
        request = Self.noRequest
        backlog.removeAll()
        table.remove(self)
        table.shared.leave()
    }

    /// Called when the server drains: closes now when nothing is underway, else after the response.
    func drain() {
        closesAfterResponse = true
        if case .idle = state, backlog.isEmpty, !isHeadUnderway { abandon() }
    }

    func abandon() { context?.close(promise: nil) }

    /// Called by the table's timer.
    func checkTimeout(now: NIODeadline) {
        let elapsed = now - since
        switch state {
        case .idle where isHeadUnderway:
            if elapsed > TimeAmount(limits.headerTimeout) {
                refuse(.slowHeader(seconds: Int(limits.headerTimeout.components.seconds)))
            }
        case .idle: if elapsed > TimeAmount(limits.idleTimeout) { abandon() }
        case .receiving:
            if speed.isTooSlow(now: now) || elapsed > TimeAmount(limits.bodyTimeout) {
                refuse(.slowBody(seconds: Int(limits.bodyTimeout.components.seconds)))
            }
        case .dropping:
            // It has had its answer.
            if speed.isTooSlow(now: now) || elapsed > TimeAmount(limits.bodyTimeout) { linger() }
        case .flushing: if elapsed > TimeAmount(limits.writeTimeout) { abandon() }
        case .lingering: if elapsed > TimeAmount(limits.lingerTimeout) { abandon() }
        case .holding, .answering, .closed: break
        }
    }
}
