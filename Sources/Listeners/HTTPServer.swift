package import Endpoints
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
internal import Telemetry

/// HTTP/1 on any number of addresses: event loops for the sockets, a thread pool for answers that block.
///
/// Order on a connection is kept: one request at a time is with the service, and a connection is not read while one
/// is, so a client that pipelines waits in its own socket buffer.
package final class HTTPServer: Sendable {
    let shared: HTTPShared
    let group: MultiThreadedEventLoopGroup
    let pool: TenantPool
    let queryPool: NIOThreadPool
    let tables: [NIOLoopBound<HTTPConnectionTable>]
    private let servers = Mutex<[any Channel]>([])

    /// - Parameters:
    ///   - budget: the memory that requests may hold; nil: as the limits say.
    ///   - loopThreads: event loops, at least 1.
    ///   - poolThreads: threads for blocking answers, at least 1.
    ///   - queryThreads: queries that run at the same time, at least 1.
    package init(
        limits: HTTPLimits = HTTPLimits(), budget: MemoryBudget? = nil, loopThreads: Int = 2, poolThreads: Int = 2,
        queryThreads: Int = 2
    ) throws {
        shared = HTTPShared(limits: limits, budget: budget)
        group = MultiThreadedEventLoopGroup(numberOfThreads: max(loopThreads, 1))
        pool = TenantPool(threads: poolThreads)
        queryPool = NIOThreadPool(numberOfThreads: max(queryThreads, 1))
        queryPool.start()
        let shared = shared
        tables = try group.makeIterator().map { loop in
            try loop.submit {
                NIOLoopBound(HTTPConnectionTable(eventLoop: loop, shared: shared), eventLoop: loop)
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
        let (shared, tables) = (shared, tables)
        let pools = HTTPPools(pool: pool, queries: queryPool)
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 512)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
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
                        try channel.pipeline.syncOperations.addHandlers(try tls.handlers(for: .http1))
                    }
                    let meter = WireMeter()
                    let handler = HTTPConnection(service: service, pools: pools, table: table, meter: meter)
                    try channel.pipeline.syncOperations.addHandler(meter)
                    try channel.pipeline.syncOperations.addHandler(
                        ByteToMessageHandler(HTTPRequestDecoder(limits: shared.limits)))
                    try channel.pipeline.syncOperations.addHandler(handler)
                }
            }
    }

    /// Stops accepting, closes idle connections, waits for requests in flight, then closes what is left. Blocks.
    /// - Returns: false when the time was not enough and requests were cut.
    @discardableResult
    package func drain(within limit: Duration) -> Bool {
        shared.startDrain()
        for server in servers.withLock({ $0 }) { try? server.close().wait() }
        for table in tables { try? table.eventLoop.submit { table.value.drain() }.wait() }
        let deadline = ContinuousClock.now + limit
        while openConnections > 0 && ContinuousClock.now < deadline { pauseThread(milliseconds: 2) }
        let isDone = openConnections == 0
        for table in tables { try? table.eventLoop.submit { table.value.closeAll() }.wait() }
        try? group.syncShutdownGracefully()
        pool.end()
        try? queryPool.syncShutdownGracefully()
        return isDone
    }

    package var openConnections: Int { shared.openConnections.load(ordering: .relaxed) }
    package var connectionsAccepted: UInt64 { shared.connectionsAccepted.load(ordering: .relaxed) }
    /// Closed at accept because there were `HTTPLimits.connections` already.
    package var connectionsRefused: UInt64 { shared.connectionsRefused.load(ordering: .relaxed) }
    /// Bytes that requests hold of the memory budget.
    package var bodyBytesInFlight: Int { shared.budget.reservedBytes }
    /// Queries that run and wait.
    package var queriesInFlight: Int { shared.queries.load(ordering: .relaxed) }
}

/// The threads on which requests are answered that may not be answered on an event loop.
struct HTTPPools: Sendable {
    let pool: TenantPool
    let queries: NIOThreadPool
}

extension HTTPDecoder where In == HTTPServerRequestPart, Out == HTTPServerResponsePart {
    fileprivate convenience init(limits: HTTPLimits) {
        var configuration = NIOHTTPDecoderLimitConfiguration()
        configuration.maxHeaderFieldSize = limits.headerBytes
        configuration.maxHeaderListSize = limits.headerBytes
        configuration.maxHeaderFieldCount = limits.headerFields
        self.init(leftOverBytesStrategy: .dropBytes, limitConfiguration: configuration)
    }
}

extension SocketAddress {
    static func resolving(_ address: BindAddress) throws(ListenerError) -> SocketAddress {
        do {
            return try SocketAddress.makeAddressResolvingHost(address.host, port: Int(address.port))
        } catch {
            throw .unknownHost(address)
        }
    }
}
