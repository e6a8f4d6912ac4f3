internal import NIOCore
internal import NIOSSL
internal import NIOTLS
internal import Synchronization

/// Stands behind the TLS handler until the handshake is done: counts how it ends and closes what takes too long.
///
/// Nothing of a handshake is shown to the handlers behind it, so that to them a connection begins with its first
/// request.
final class TLSGate: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private enum State {
        case shaking
        case open
        case failed
    }

    private let counts: TLSCounts
    private let timeout: TimeAmount
    private var state = State.shaking
    private var alarm: Scheduled<Void>?
    /// Something was passed on in this round of reads.
    private var hasRead = false

    init(counts: TLSCounts, timeout: Duration) {
        self.counts = counts
        self.timeout = TimeAmount(timeout)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        alarm = context.eventLoop.assumeIsolated().scheduleTask(in: timeout) { [self] in
            guard case .shaking = state else { return }
            fail(.timeout)
            context.close(mode: .all, promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        hasRead = true
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        guard hasRead else { return }
        hasRead = false
        context.fireChannelReadComplete()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case TLSUserEvent.handshakeCompleted? = event as? TLSUserEvent, case .shaking = state {
            state = .open
            alarm?.cancel()
            counts.handshakes.add(1, ordering: .relaxed)
        }
        if case ChannelEvent.inputClosed? = event as? ChannelEvent, case .shaking = state {
            fail(.closed)
            context.close(mode: .all, promise: nil)
        }
        context.fireUserInboundEventTriggered(event)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch state {
        case .shaking:
            fail(error is NIOSSLError || error is BoringSSLError ? .refused : .closed)
            context.close(mode: .all, promise: nil)
        case .failed: break
        case .open:
            if error is NIOSSLError || error is BoringSSLError {
                // Cut without TLS's goodbye, or garbage after the handshake: nothing more can be read.
                context.close(mode: .all, promise: nil)
            } else {
                context.fireErrorCaught(error)
            }
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        if case .shaking = state { fail(.closed) }
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) { alarm?.cancel() }

    private func fail(_ failure: TLSCounts.Failure) {
        state = .failed
        alarm?.cancel()
        counts.add(failure)
    }
}
