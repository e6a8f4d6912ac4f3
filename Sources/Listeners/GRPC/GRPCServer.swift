internal import Endpoints
internal import NIOCore
internal import NIOHTTP2
internal import NIOPosix
internal import Synchronization
internal import Telemetry

/// Unary gRPC over HTTP/2, in the clear with prior knowledge or inside TLS, on the event loops, thread pool and memory
/// budget of an HTTP server.
///
/// Each call becomes a ``Request`` (`POST /package.Service/Method`, the message as the body, `grpc-encoding` as its
/// content encoding) for the same ``HTTPService`` that HTTP has, and its ``Response`` becomes the answer.
package final class GRPCServer: Sendable {
    private let shared: GRPCShared
    private let http: HTTPServer
    private let tables: [NIOLoopBound<GRPCConnectionTable>]
    private let servers = Mutex<[any Channel]>([])

    /// - Parameter http: must be drained after this server.
    package init(beside http: HTTPServer, limits: GRPCLimits = GRPCLimits()) throws {
        self.http = http
        shared = GRPCShared(limits: limits, http: http.shared)
        let shared = shared
        tables = try http.group.makeIterator().map { loop in
            try loop.submit {
                let beside = http.tables.first { $0.eventLoop === loop }?.value
                let pace = beside?.pace ?? RefusalPace(limits: http.shared.limits)
                let table = GRPCConnectionTable(eventLoop: loop, shared: shared, pace: pace)
                return NIOLoopBound(table, eventLoop: loop)
            }.wait()
        }
    }

    /// Binds an address and answers on it from now on. Blocks until bound.
    /// - Parameter tls: nil: in the clear.
    /// - Returns: the address with the real port.
    package func bind(_ address: BindAddress, service: HTTPService, tls: TLSServer? = nil) throws(ListenerError)
        -> BindAddress
    {
        let resolved = try SocketAddress.resolving(address)
        let channel: any Channel
        do {
            channel = try bootstrap(service, tls).bind(to: resolved).wait()
        } catch {
            throw .bind(address, errno: (error as? IOError)?.errnoCode ?? 0, "\(error)")
        }
        servers.withLock { $0.append(channel) }
        return BindAddress(host: address.host, port: UInt16(channel.localAddress?.port ?? 0))
    }

    private func bootstrap(_ service: HTTPService, _ tls: TLSServer?) -> ServerBootstrap {
        let (shared, pool, tables) = (shared, http.pool, tables)
        return ServerBootstrap(group: http.group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 1_024, initial: 16_384, maximum: Limits.connectionReadBytes)
            )
            .childChannelInitializer { channel in
                guard shared.admit(channel) else { return channel.close() }
                return channel.eventLoop.makeCompletedFuture {
                    let table = tables.first { $0.eventLoop === channel.eventLoop }?.value
                    guard let table else { throw ChannelError.operationUnsupported }
                    if let tls {
                        try channel.pipeline.syncOperations.addHandlers(try tls.handlers(for: .http2))
                    }
                    try Self.configure(channel, GRPCCallRunner(service: service, pool: pool), table)
                }
            }
    }

    private static func configure(
        _ channel: any Channel, _ runner: GRPCCallRunner, _ table: GRPCConnectionTable
    ) throws {
        let limits = table.shared.limits
        let connection = NIOLoopBound(GRPCConnection(table: table), eventLoop: channel.eventLoop)
        let management = NIOHTTP2ServerConnectionManagementHandler(
            eventLoop: channel.eventLoop,
            configuration: .init(
                maxIdleTime: TimeAmount(limits.idleTimeout), maxAge: nil,
                maxGraceTime: TimeAmount(limits.graceTimeout), keepalive: nil))
        let pipeline = channel.pipeline.syncOperations
        _ = try pipeline.configureHTTP2Pipeline(
            mode: .server, connectionConfiguration: limits.connection, streamConfiguration: limits.stream,
            streamDelegate: management.http2StreamDelegate
        ) { stream in
            stream.eventLoop.makeCompletedFuture {
                let call = GRPCCall(runner: runner, connection: connection.value)
                try stream.pipeline.syncOperations.addHandler(call)
            }
        }
        try pipeline.addHandler(management)
        try pipeline.addHandler(connection.value)
    }

    /// Stops accepting, tells every client to go, waits for calls in flight, then closes what is left. Blocks.
    /// - Returns: false when the time was not enough and calls were cut.
    @discardableResult
    package func drain(within limit: Duration) -> Bool {
        shared.startDrain()
        for server in servers.withLock({ $0 }) { try? server.close().wait() }
        for table in tables { try? table.eventLoop.submit { table.value.drain() }.wait() }
        let start = ContinuousClock.now
        while shared.open.load(ordering: .relaxed) > 0 && ContinuousClock.now < start + limit {
            // Clients that do not answer the goodbye hold nothing up once their calls are done.
            let isQuiet = shared.calls.load(ordering: .relaxed) == 0
            if isQuiet && ContinuousClock.now > start + .milliseconds(500) { break }
            pauseThread(milliseconds: 2)
        }
        let isDone = shared.calls.load(ordering: .relaxed) == 0
        for table in tables { try? table.eventLoop.submit { table.value.closeAll() }.wait() }
        return isDone
    }

    package var counts: GRPCCounts { shared.counts }
}

extension GRPCLimits {
    fileprivate var connection: NIOHTTP2Handler.ConnectionConfiguration {
        var configuration = NIOHTTP2Handler.ConnectionConfiguration()
        configuration.initialSettings = [
            HTTP2Setting(parameter: .maxConcurrentStreams, value: streams),
            HTTP2Setting(parameter: .maxHeaderListSize, value: headerBytes),
            HTTP2Setting(parameter: .initialWindowSize, value: streamWindow),
            HTTP2Setting(parameter: .maxFrameSize, value: frameBytes),
        ]
        configuration.targetWindowSize = connectionWindow
        configuration.maximumSequentialContinuationFrames = continuations
        configuration.maximumSequentialEmptyDataFrames = 100
        configuration.maximumBufferedControlFrames = 1_000
        configuration.maximumRecentlyResetStreams = 256
        configuration.maximumConnectionGlitches = streamErrors
        configuration.controlFrameRateLimit.maximumCount = controlFrames
        configuration.controlFrameRateLimit.windowLength = .seconds(1)
        return configuration
    }

    fileprivate var stream: NIOHTTP2Handler.StreamConfiguration {
        var configuration = NIOHTTP2Handler.StreamConfiguration()
        configuration.targetWindowSize = streamWindow
        configuration.streamResetFrameRateLimit.maximumCount = resets
        configuration.streamErrorRateLimit.maximumCount = streamErrors
        return configuration
    }
}
