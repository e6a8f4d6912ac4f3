internal import NIOCore
internal import Synchronization

/// The receiver of a line listener and when it ticks. Lives on the listener's event loop.
final class LineSink<Receiver: DatagramReceiver & SendableMetatype> {
    private var receiver: Receiver
    private let eventLoop: any EventLoop
    private var isTickScheduled = false
    private(set) var isClosing = false
    private var connections: [ObjectIdentifier: any Channel] = [:]

    init(_ receiver: Receiver, eventLoop: any EventLoop) {
        self.receiver = receiver
        self.eventLoop = eventLoop
        watch()
    }

    /// Without lines too the receiver may be waited for: it is asked every ten seconds.
    private func watch() {
        eventLoop.assumeIsolated().scheduleTask(in: .seconds(10)) { [weak self] in
            guard let self, !isClosing else { return }
            if receiver.isPending { scheduleTick() }
            watch()
        }
    }

    /// One or more whole lines.
    func receive(_ lines: UnsafeRawBufferPointer) {
        receiver.receive(lines)
        scheduleTick()
    }

    /// A tick follows every line within a quarter of a second; an idle listener hardly wakes up.
    private func scheduleTick() {
        guard !isTickScheduled else { return }
        isTickScheduled = true
        eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(250)) {
            self.isTickScheduled = false
            self.receiver.tick()
            if self.receiver.isPending { self.scheduleTick() }
        }
    }

    func opened(_ channel: any Channel) { connections[ObjectIdentifier(channel)] = channel }
    func closed(_ channel: any Channel) { connections[ObjectIdentifier(channel)] = nil }

    func closeAll() {
        isClosing = true
        for channel in connections.values { channel.close(promise: nil) }
        receiver.tick()
    }
}

/// One connection: bytes to lines to the sink.
final class LineConnection<Receiver: DatagramReceiver & SendableMetatype>: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let sink: LineSink<Receiver>
    private let shared: LineStreamShared
    private var framer = LineFramer()
    private var reported: UInt64 = 0
    /// Set by an error or a timeout: the last line may have lost its tail.
    private var isBroken = false

    init(sink: LineSink<Receiver>, shared: LineStreamShared) {
        self.sink = sink
        self.shared = shared
    }

    func handlerAdded(context: ChannelHandlerContext) { sink.opened(context.channel) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let buffer = unwrapInboundIn(data)
        buffer.withUnsafeReadableBytes { bytes in framer.take(bytes) { sink.receive($0) } }
        report()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is IdleStateHandler.IdleStateEvent else { return context.fireUserInboundEventTriggered(event) }
        shared.idled.add(1, ordering: .relaxed)
        isBroken = true
        context.close(promise: nil)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        isBroken = true
        context.close(promise: nil)
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isBroken && !sink.isClosing {
            framer.finish { sink.receive($0) }
        } else if framer.isMidLine {
            shared.cutLines.add(1, ordering: .relaxed)
        }
        report()
        sink.closed(context.channel)
        shared.open.subtract(1, ordering: .relaxed)
    }

    private func report() {
        shared.reject(tooLong: framer.tooLong &- reported)
        reported = framer.tooLong
    }
}
