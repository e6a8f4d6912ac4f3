internal import Endpoints
internal import NIOCore
internal import NIOHTTP2
internal import Synchronization

/// The end of one HTTP/2 connection's pipeline: counts its calls, closes it on a breach and when it is silent.
///
/// HTTP/2 itself, its limits on frames and the goodbye (GOAWAY) are the library's. A peer that does not read its
/// answers is not read either. Belongs to its event loop.
final class GRPCConnection: ChannelDuplexHandler {
    typealias InboundIn = HTTP2Frame
    typealias OutboundIn = HTTP2Frame

    let table: GRPCConnectionTable
    var shared: GRPCShared { table.shared }
    private var context: ChannelHandlerContext?
    private(set) var peer: PeerAddress?
    /// Calls whose messages are coming, and the bytes of messages that have come.
    var receivingCalls = 0
    var messageBytes: UInt64 = 0
    private var openCalls = 0
    private var hadCall = false
    private var isClosing = false
    private var wantsRead = false
    /// Since when the socket takes nothing more; nil: it does.
    private var fullSince: NIODeadline?
    /// When the connection was accepted, or its last call ended, or it was told to go or closed.
    private var since = NIODeadline.now()

    init(table: GRPCConnectionTable) { self.table = table }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        peer = context.channel.remoteAddress.flatMap { PeerAddress($0) }
        table.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        guard self.context != nil else { return }
        self.context = nil
        table.remove(self)
        shared.open.subtract(1, ordering: .relaxed)
    }

    func callStarted() {
        openCalls += 1
        hadCall = true
        shared.calls.add(1, ordering: .relaxed)
    }

    func callEnded() {
        openCalls -= 1
        since = .now()
        shared.calls.subtract(1, ordering: .relaxed)
    }

    /// A call was taken back, or was none. Whoever does little else is to do it no longer.
    func callWasted() {
        guard !isClosing, let channel = context?.channel, channel.isActive else { return }
        if !shared.gate.takesWaste(from: channel) { close(for: .resets) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A refused or broken stream is told by its own RST_STREAM.
        if error is NIOHTTP2Errors.StreamError { return shared.countRefusedStream() }
        guard !isClosing else { return }
        if error is IOError { return abandon() }
        shared.count(GRPCBreach(error))
        closeAfterGoodbye(context)
    }

    /// The library has written the GOAWAY. Nothing more is read, our side is closed, and the sweep closes the rest:
    /// closing with unread bytes in the socket would reset the connection and could take the GOAWAY from the peer.
    private func closeAfterGoodbye(_ context: ChannelHandlerContext) {
        isClosing = true
        since = .now()
        context.close(mode: .output, promise: nil)
    }

    /// Every stream asks for reads too, so this is the one place that can hold them back.
    func read(context: ChannelHandlerContext) {
        if isClosing { return }
        if fullSince == nil { context.read() } else { wantsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        fullSince = context.channel.isWritable ? nil : .now()
        if fullSince == nil, wantsRead {
            wantsRead = false
            context.read()
        }
        context.fireChannelWritabilityChanged()
    }

    /// Closes at once, for a breach that the library does not know.
    func close(for breach: GRPCBreach) {
        guard !isClosing else { return }
        isClosing = true
        shared.count(breach)
        abandon()
    }

    /// Whether messages could come: a client that does not read is not read either.
    var isRead: Bool { fullSince == nil }

    func drain() {
        since = .now()
        context?.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
    }

    func abandon() { context?.close(promise: nil) }

    /// Called by the table's timer. The goodbye to an idle client is the library's; this is for those that ignore it.
    func checkTimeout(now: NIODeadline) {
        let limits = shared.limits
        let elapsed = now - since
        if isClosing {
            if elapsed > TimeAmount(limits.lingerTimeout) { abandon() }
        } else if let fullSince {
            if now - fullSince > TimeAmount(limits.writeTimeout) { close(for: .unread) }
        } else if openCalls == 0 {
            let patience = hadCall ? limits.idleTimeout + limits.graceTimeout : limits.firstCallTimeout
            if elapsed > TimeAmount(patience) { close(for: .silent) }
        }
    }
}

extension GRPCBreach {
    fileprivate init(_ error: any Error) {
        switch error {
        case is NIOHTTP2Errors.MaxStreamsViolation: self = .streams
        case is NIOHTTP2Errors.ExcessiveRSTFrames: self = .resets
        case is NIOHTTP2Errors.ExcessiveControlFrames: self = .controlFrames
        case is NIOHTTP2Errors.ExcessiveContinuationFrames: self = .continuations
        case is NIOHTTP2Errors.ExcessiveEmptyDataFrames: self = .emptyFrames
        case is NIOHTTP2Errors.ExcessivelyLargeHeaderBlock: self = .headerBytes
        case is NIOHTTP2Errors.ExcessiveStreamErrors, is NIOHTTP2Errors.ExcessiveNumberOfGlitches:
            self = .streamErrors
        case is NIOHTTP2Errors.ExcessiveOutboundFrameBuffering: self = .unread
        default: self = .malformed
        }
    }
}

/// The connections of one event loop, for the timeouts and the drain. Belongs to that loop.
final class GRPCConnectionTable {
    let shared: GRPCShared
    let eventLoop: any EventLoop
    private var connections: [ObjectIdentifier: GRPCConnection] = [:]
    private let pace: RefusalPace
    private var sweep: Scheduled<Void>?

    /// - Parameter pace: the one that HTTP has on this loop.
    init(eventLoop: any EventLoop, shared: GRPCShared, pace: RefusalPace) {
        self.eventLoop = eventLoop
        self.shared = shared
        self.pace = pace
    }

    /// How long an answer is to be held back; nil: not at all.
    func delay(of response: Response) -> TimeAmount? { shared.drains ? nil : pace.delay(of: response) }

    func add(_ connection: GRPCConnection) {
        connections[ObjectIdentifier(connection)] = connection
        scheduleSweep()
    }

    func remove(_ connection: GRPCConnection) { connections[ObjectIdentifier(connection)] = nil }

    /// Tells every client to go.
    func drain() {
        for connection in Array(connections.values) { connection.drain() }
    }

    func closeAll() {
        for connection in Array(connections.values) { connection.abandon() }
    }

    /// One timer for all; it stands still when there are no connections.
    private func scheduleSweep() {
        guard sweep == nil, !connections.isEmpty else { return }
        let delay = TimeAmount(shared.limits.sweepInterval)
        sweep = eventLoop.assumeIsolated().scheduleTask(in: delay) {
            self.sweep = nil
            let now = NIODeadline.now()
            for connection in Array(self.connections.values) { connection.checkTimeout(now: now) }
            self.scheduleSweep()
        }
    }
}
