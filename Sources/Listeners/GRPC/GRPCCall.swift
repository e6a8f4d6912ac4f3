internal import Endpoints
internal import NIOCore
internal import NIOHPACK
internal import NIOHTTP2
internal import NIOPosix
internal import Telemetry
internal import WireFormats

/// One stream of a connection, which is one call: collects its message, has it answered, writes the answer.
///
///     waiting -> receiving -> answering -> ended
///          \_________\____________\_______^
///           \_________\____________\-> holding
///
/// A call that is refused is told not to go on. When many are, their answers are held back; meanwhile each holds its
/// stream, of which a connection has only so many, and no memory for a message. Belongs to its event loop.
final class GRPCCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum State {
        case waiting
        case receiving
        case answering
        /// Refused; the answer is held back, and what still comes is dropped.
        case holding
        case ended
    }

    private let runner: GRPCCallRunner
    private let connection: GRPCConnection
    private var shared: GRPCShared { connection.shared }
    private var context: ChannelHandlerContext?
    private var state = State.waiting {
        didSet {
            if case .receiving = oldValue { connection.receivingCalls -= 1 }
            if case .receiving = state { connection.receivingCalls += 1 }
        }
    }
    private var hasPeerEnded = false
    private var request = Request(method: "POST", target: "")
    private var encoding = ""
    private var reader: GRPCMessageReader
    /// Bytes of the head that are not free, and of the message so far.
    private var heldBytes = 0
    /// How long the client waits for its answer; nil: it does not say.
    private var patience: Duration?
    /// The answer that is held back, and the bytes that came meanwhile.
    private var held: Response?
    private var droppedBytes = 0
    private var deadline: Scheduled<Void>?
    private var speed = BodySpeed(least: 0, over: .zero)
    /// Bytes of all the connection's messages when the period of `speed` began.
    private var bytesBefore: UInt64 = 0
    private var budget: QueryBudget?

    init(runner: GRPCCallRunner, connection: GRPCConnection) {
        self.runner = runner
        self.connection = connection
        reader = GRPCMessageReader(limit: connection.shared.limits.messageBytes)
    }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        connection.callStarted()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        abort()
        guard self.context != nil else { return }
        self.context = nil
        deadline?.cancel()
        connection.callEnded()
    }

    func channelInactive(context: ChannelHandlerContext) {
        abort()
        context.fireChannelInactive()
    }

    /// The stream is broken; the library has told the peer, and `channelInactive` follows.
    func errorCaught(context: ChannelHandlerContext, error: any Error) { abort() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .headers(let headers):
            hasPeerEnded = headers.endStream
            if case .waiting = state { begin(headers.headers) }
            if hasPeerEnded { hand() }
        case .data(let data):
            hasPeerEnded = data.endStream
            if case .byteBuffer(let bytes) = data.data { take(bytes) }
            if hasPeerEnded { hand() }
        default: break
        }
    }

    // MARK: Request

    private func begin(_ headers: HPACKHeaders) {
        state = .receiving
        guard headers.first(name: ":method") == "POST" else { return refuse(status: "405") }
        let mediaType = headers.first(name: "content-type") ?? ""
        guard isGRPC(mediaType) else { return refuse(status: "415") }
        request = Request(method: "POST", target: headers.first(name: ":path") ?? "")
        request.peer = connection.peer
        request.headers = [("content-type", "application/x-protobuf")]
        for (name, value, _) in headers where !name.hasPrefix(":") && !Self.ownHeaders.contains(name) {
            request.headers.append((name, value))
        }
        let kept = request.headers.dropFirst().reduce(request.target.utf8.count) {
            $0 + $1.name.utf8.count + $1.value.utf8.count
        }
        encoding = headers.first(name: "grpc-encoding") ?? "identity"
        patience = headers.first(name: "grpc-timeout").flatMap { GRPCText.timeout($0) }
        if let response = runner.service.preempt(&request) { return answer(response) }
        // Small heads are free, so that a health check gets its answer when bodies have all the room.
        guard reserve(max(kept - Self.freeHeadBytes, 0)) else { return refuse(.busy(retryAfter: 1)) }
        limitTime()
    }

    private static let freeHeadBytes = 512
    private static let ownHeaders: Set<String> = ["content-type", "content-encoding", "grpc-timeout"]

    private func isGRPC(_ mediaType: String) -> Bool {
        let bare = mediaType.prefix { $0 != ";" }
        return bare == "application/grpc" || bare == "application/grpc+proto"
    }

    /// Limits the time until the message is there, and looks meanwhile whether it comes.
    private func limitTime() {
        let now = NIODeadline.now()
        let limits = shared.limits
        speed = BodySpeed(least: limits.bodyBytesPerSecond, over: limits.bodySpeedPeriod, from: now)
        bytesBefore = connection.messageBytes
        let limit = min(patience ?? limits.bodyTimeout, limits.bodyTimeout)
        look(until: now + TimeAmount(limit), seconds: Int(limit.components.seconds))
    }

    private func look(until end: NIODeadline, seconds: Int) {
        guard let context else { return }
        let next = min(speed.due, end)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(deadline: next) { [self] in
            guard case .receiving = state else { return }
            let now = NIODeadline.now()
            if now >= end || isTooSlow(now) { return refuse(.slowBody(seconds: seconds)) }
            look(until: end, seconds: seconds)
        }
    }

    /// A message that waits behind others of its connection is not slow as long as these come.
    private func isTooSlow(_ now: NIODeadline) -> Bool {
        let isSlow = speed.isTooSlow(now: now)
        let others = connection.messageBytes &- bytesBefore
        bytesBefore = connection.messageBytes
        let needed = UInt64(clamping: speed.leastBytes) &* UInt64(clamping: connection.receivingCalls)
        return isSlow && connection.isRead && others < needed
    }

    private func take(_ bytes: ByteBuffer) {
        switch state {
        case .receiving:
            speed.take(bytes.readableBytes)
            connection.messageBytes &+= UInt64(bytes.readableBytes)
            collect(bytes)
        case .holding:
            droppedBytes += bytes.readableBytes
            // Beyond what is cheap to drop the client is told to stop.
            if droppedBytes > Self.mostDroppedBytes, let held { tell(held) }
        case .waiting, .answering, .ended: break
        }
    }

    private static let mostDroppedBytes = 1 << 20

    private func collect(_ bytes: ByteBuffer) {
        do throws(GRPCFramingError) {
            try bytes.withUnsafeReadableBytes { bytes throws(GRPCFramingError) in
                try reader.append(bytes, reserve: reserve)
            }
        } catch { refuse(HTTPRefusal(error, limit: shared.limits.messageBytes)) }
    }

    /// Takes the memory for so many bytes more.
    private func reserve(_ count: Int) -> Bool {
        heldBytes += count
        guard heldBytes > 0 else { return true }
        let reservation = request.reservation ?? MemoryReservation(shared.budget)
        request.reservation = reservation
        return reservation.cover(body: heldBytes) == nil
    }

    /// The client has sent all.
    private func hand() {
        guard case .receiving = state, let context else { return }
        do throws(GRPCFramingError) { request.body = try reader.finish() } catch {
            return refuse(HTTPRefusal(error, limit: shared.limits.messageBytes))
        }
        if reader.isCompressed { request.headers.append(("content-encoding", encoding)) }
        deadline?.cancel()
        state = .answering
        let budget = QueryBudget()
        self.budget = budget
        let eventLoop = context.eventLoop
        let call = NIOLoopBound(self, eventLoop: eventLoop)
        request.completedNanoseconds = monotonicNanoseconds()
        let request = request
        self.request.body = []
        runner.run(request, budget) { response in
            if eventLoop.inEventLoop {
                call.value.complete(response)
            } else {
                eventLoop.execute { call.value.complete(response) }
            }
        }
    }

    // MARK: Answer

    private func complete(_ response: Response) {
        guard case .answering = state else { return }
        request.reservation?.release()
        answer(response)
    }

    private func refuse(_ refusal: HTTPRefusal) { answer(runner.service.refuse(refusal, request)) }

    /// What is no gRPC call is refused in HTTP's terms.
    private func refuse(status: String) {
        _ = runner.service.refuse(.malformed("not a gRPC call"), Request(method: "POST", target: ""))
        end(with: [":status": status])
        connection.callWasted()
    }

    private func answer(_ response: Response) {
        guard let delay = connection.table.delay(of: response), let context else { return tell(response) }
        state = .holding
        held = response
        dropRequest()
        // A client that has given up before its answer would know nothing of when to come again.
        let longest = patience.map { TimeAmount($0 / 2) } ?? delay
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: min(delay, longest)) { [self] in
            if case .holding = state { tell(response) }
        }
    }

    private func tell(_ response: Response) {
        let reply = GRPCReply(response)
        shared.count(reply.code)
        if reply.code == .ok { write(reply) } else { end(with: reply.trailersOnly) }
    }

    private func write(_ reply: GRPCReply) {
        guard let context else { return }
        context.write(wrapOutboundOut(.headers(.init(headers: reply.headers))), promise: nil)
        var message = context.channel.allocator.buffer(capacity: 5 + reply.body.count)
        message.writeInteger(UInt8(0))
        message.writeInteger(UInt32(clamping: reply.body.count))
        message.writeBytes(reply.body)
        context.write(wrapOutboundOut(.data(.init(data: .byteBuffer(message)))), promise: nil)
        end(with: ["grpc-status": "0"])
    }

    /// Writes the last headers. A client that has not sent all is told not to go on.
    private func end(with headers: HPACKHeaders) {
        guard let context else { return }
        finish()
        context.write(wrapOutboundOut(.headers(.init(headers: headers, endStream: true))), promise: nil)
        if !hasPeerEnded { context.write(wrapOutboundOut(.rstStream(.noError)), promise: nil) }
        context.flush()
        // The stream is gone as soon as the peer's window takes the answer.
        let limit = TimeAmount(shared.limits.writeTimeout)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit) { [connection] in
            connection.close(for: .unread)
        }
    }

    /// The client went away, or the connection.
    private func abort() {
        if case .ended = state { return }
        shared.countCancelled()
        finish()
        connection.callWasted()
    }

    private func finish() {
        state = .ended
        held = nil
        budget?.cancel()
        dropRequest()
    }

    private func dropRequest() {
        budget = nil
        deadline?.cancel()
        deadline = nil
        // What still works on the request holds its memory until that is done.
        request = Request(method: "POST", target: "")
        reader = GRPCMessageReader(limit: 0)
    }
}

/// Where calls are answered.
struct GRPCCallRunner: Sendable {
    let service: HTTPService
    let pool: TenantPool

    func run(_ request: Request, _ budget: QueryBudget, reply: @escaping @Sendable (Response) -> Void) {
        if case .loop = service.lane(request) { return service.respond(request, budget, reply) }
        pool.submit(request) { [service] in service.respond(request, budget, reply) }
    }
}

extension HTTPRefusal {
    init(_ error: GRPCFramingError, limit: Int) {
        switch error {
        case .tooLarge: self = .bodyTooLarge(limit: limit)
        case .refused: self = .busy(retryAfter: 1)
        case .missing, .truncated, .surplus, .badFlag: self = .malformed("\(error)")
        }
    }
}

extension GRPCReply {
    /// The head of an answer with a message.
    fileprivate var headers: HPACKHeaders {
        var headers: HPACKHeaders = [
            ":status": "200", "content-type": "application/grpc", "grpc-accept-encoding": Self.acceptedEncodings,
        ]
        for (name, value) in metadata { headers.add(name: name, value: value) }
        return headers
    }

    /// The whole answer of a call that failed.
    fileprivate var trailersOnly: HPACKHeaders {
        var headers = headers
        headers.add(name: "grpc-status", value: "\(code.rawValue)")
        headers.add(name: "grpc-message", value: GRPCText.percentEncoded(message))
        if let retryAfter {
            let details = GRPCText.details(code, message: message, retryAfter: retryAfter)
            headers.add(name: "grpc-status-details-bin", value: details)
        }
        return headers
    }
}
