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
///
/// A call that is refused is answered at once and what the client still sends of it is not read. Belongs to its
/// event loop.
final class GRPCCall: ChannelInboundHandler {
    typealias InboundIn = HTTP2Frame.FramePayload
    typealias OutboundOut = HTTP2Frame.FramePayload

    private enum State {
        case waiting
        case receiving
        case answering
        case ended
    }

    private let runner: GRPCCallRunner
    private let connection: GRPCConnection
    private var shared: GRPCShared { connection.shared }
    private var context: ChannelHandlerContext?
    private var state = State.waiting
    private var hasPeerEnded = false
    private var request = Request(method: "POST", target: "")
    private var encoding = ""
    private var reader: GRPCMessageReader
    private var reservedBytes = 0
    private var deadline: Scheduled<Void>?
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
            if case .receiving = state, case .byteBuffer(let bytes) = data.data { collect(bytes) }
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
        request.headers = [("content-type", "application/x-protobuf")]
        for (name, value, _) in headers where !name.hasPrefix(":") && !Self.ownHeaders.contains(name) {
            request.headers.append((name, value))
        }
        let kept = request.headers.dropFirst().reduce(request.target.utf8.count) {
            $0 + $1.name.utf8.count + $1.value.utf8.count
        }
        // Small heads are free, so that a health check gets its answer when bodies have all the room.
        guard reserve(max(kept - Self.freeHeadBytes, 0)) else { return refuse(.busy(retryAfter: 1)) }
        encoding = headers.first(name: "grpc-encoding") ?? "identity"
        let given = headers.first(name: "grpc-timeout").flatMap { GRPCText.timeout($0) }
        if let response = runner.service.preempt(request) { return answer(response) }
        limitTime(given)
    }

    private static let freeHeadBytes = 512
    private static let ownHeaders: Set<String> = ["content-type", "content-encoding", "grpc-encoding", "grpc-timeout"]

    private func isGRPC(_ mediaType: String) -> Bool {
        let bare = mediaType.prefix { $0 != ";" }
        return bare == "application/grpc" || bare == "application/grpc+proto"
    }

    private func limitTime(_ given: Duration?) {
        guard let context else { return }
        let limit = min(given ?? shared.limits.bodyTimeout, shared.limits.bodyTimeout)
        deadline = context.eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(limit)) { [self] in
            if case .receiving = state { refuse(.slowBody(seconds: Int(limit.components.seconds))) }
        }
    }

    private func collect(_ bytes: ByteBuffer) {
        do throws(GRPCFramingError) {
            try bytes.withUnsafeReadableBytes { bytes throws(GRPCFramingError) in
                try reader.append(bytes, reserve: reserve)
            }
        } catch { refuse(HTTPRefusal(error, limit: shared.limits.messageBytes)) }
    }

    private func reserve(_ count: Int) -> Bool {
        guard shared.reserve(count) else { return false }
        reservedBytes += count
        return true
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
        if case .answering = state { answer(response) }
    }

    private func refuse(_ refusal: HTTPRefusal) { answer(runner.service.refuse(refusal, request.target)) }

    /// What is no gRPC call is refused in HTTP's terms.
    private func refuse(status: String) {
        _ = runner.service.refuse(.malformed("not a gRPC call"), "")
        end(with: [":status": status])
        connection.callWasted()
    }

    private func answer(_ response: Response) {
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
        budget?.cancel()
        budget = nil
        deadline?.cancel()
        deadline = nil
        shared.release(reservedBytes)
        reservedBytes = 0
        reader = GRPCMessageReader(limit: 0)
    }
}

/// Where calls are answered.
struct GRPCCallRunner: Sendable {
    let service: HTTPService
    let pool: NIOThreadPool

    func run(_ request: Request, _ budget: QueryBudget, reply: @escaping @Sendable (Response) -> Void) {
        guard service.isBlocking(request) else { return service.respond(request, budget, reply) }
        pool.submit { [service] state in
            if case .active = state { service.respond(request, budget, reply) }
        }
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
