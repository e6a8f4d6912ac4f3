internal import NIOCore
internal import NIOPosix
internal import Synchronization
package import Telemetry

/// What a line listener has counted since it was bound.
package struct LineStreamCounts: Hashable, Sendable {
    package var open: Int = 0
    package var accepted: UInt64 = 0
    /// Closed at accept because there were `LineStreamLimits.connections` already.
    package var refused: UInt64 = 0
    /// Closed because nothing came for `LineStreamLimits.idleSeconds`.
    package var idled: UInt64 = 0
    /// Lines without an end whose connection broke; left out.
    package var cutLines: UInt64 = 0

    package init(open: Int = 0, accepted: UInt64 = 0, refused: UInt64 = 0, idled: UInt64 = 0, cutLines: UInt64 = 0) {
        self.open = open
        self.accepted = accepted
        self.refused = refused
        self.idled = idled
        self.cutLines = cutLines
    }
}

/// Bounds of a line listener.
package struct LineStreamLimits: Hashable, Sendable {
    /// Open at the same time; later ones are closed at once.
    package var connections = 1_024
    /// A connection that is silent for so long is closed.
    package var idleSeconds: Int64 = 300

    package init() {}
}

/// Lines over TCP on one address. All connections share one event loop, and with it one receiver.
///
/// Nothing is ever answered. A line feed ends a line, as does the peer's orderly end of the stream.
package final class LineListener: Sendable {
    /// The address with its real port.
    package let address: BindAddress
    private let group: MultiThreadedEventLoopGroup
    private let server: any Channel
    private let shared: LineStreamShared
    private let closeAll: @Sendable () -> Void

    /// Binds and starts to receive.
    /// - Parameters:
    ///   - ledger: lines that never reach the receiver are counted here.
    ///   - makeReceiver: called once, on the listener's thread.
    package init<Receiver: DatagramReceiver & SendableMetatype>(
        _ address: BindAddress, limits: LineStreamLimits = LineStreamLimits(), ledger: Ledger,
        makeReceiver: @escaping @Sendable () -> Receiver
    ) throws(ListenerError) {
        let resolved = try SocketAddress.resolving(address)
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let shared = LineStreamShared(limits: limits, ledger: ledger)
        do {
            let sink = try loop.submit {
                NIOLoopBound(LineSink(makeReceiver(), eventLoop: loop), eventLoop: loop)
            }.wait()
            server = try Self.bootstrap(group, sink, shared).bind(to: resolved).wait()
            closeAll = { try? loop.submit { sink.value.closeAll() }.wait() }
        } catch {
            try? group.syncShutdownGracefully()
            throw .bind(address, errno: (error as? IOError)?.errnoCode ?? 0, "\(error)")
        }
        self.group = group
        self.shared = shared
        self.address = BindAddress(host: address.host, port: UInt16(server.localAddress?.port ?? 0))
    }

    private static func bootstrap<Receiver: DatagramReceiver & SendableMetatype>(
        _ group: MultiThreadedEventLoopGroup, _ sink: NIOLoopBound<LineSink<Receiver>>, _ shared: LineStreamShared
    ) -> ServerBootstrap {
        ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 128)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator, value: AdaptiveRecvByteBufferAllocator(minimum: 1_024, initial: 16_384, maximum: 65_536)
            )
            .childChannelInitializer { channel in
                guard shared.admit() else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    let idle = IdleStateHandler(readTimeout: .seconds(shared.limits.idleSeconds))
                    try channel.pipeline.syncOperations.addHandler(idle)
                    try channel.pipeline.syncOperations.addHandler(LineConnection(sink: sink.value, shared: shared))
                }
            }
    }

    /// Stops accepting, closes all connections, and returns when the receiver has had its last tick.
    package func stop() {
        try? server.close().wait()
        closeAll()
        try? group.syncShutdownGracefully()
    }

    package var counts: LineStreamCounts { shared.counts }
}

/// What the connections of one listener count together.
final class LineStreamShared: Sendable {
    let limits: LineStreamLimits
    let ledger: Ledger
    let open = Atomic<Int>(0)
    let accepted = Atomic<UInt64>(0)
    let refused = Atomic<UInt64>(0)
    let idled = Atomic<UInt64>(0)
    let cutLines = Atomic<UInt64>(0)

    init(limits: LineStreamLimits, ledger: Ledger) {
        self.limits = limits
        self.ledger = ledger
    }

    /// False when there are too many connections.
    func admit() -> Bool {
        guard open.load(ordering: .relaxed) < limits.connections else {
            refused.add(1, ordering: .relaxed)
            return false
        }
        open.add(1, ordering: .relaxed)
        accepted.add(1, ordering: .relaxed)
        return true
    }

    /// Counts lines that were too long to be handed on.
    func reject(tooLong count: UInt64) {
        guard count > 0 else { return }
        ledger.linesSeen.add(count, ordering: .relaxed)
        ledger.linesRejected.add(count, .lineTooLong)
    }

    var counts: LineStreamCounts {
        LineStreamCounts(
            open: open.load(ordering: .relaxed), accepted: accepted.load(ordering: .relaxed),
            refused: refused.load(ordering: .relaxed), idled: idled.load(ordering: .relaxed),
            cutLines: cutLines.load(ordering: .relaxed))
    }
}
