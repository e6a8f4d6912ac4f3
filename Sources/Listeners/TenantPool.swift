internal import Endpoints
internal import NIOPosix
internal import Synchronization
internal import Telemetry

/// A thread pool whose threads take requests tenant by tenant: who sends a hundred waits behind them, nobody else does.
final class TenantPool: Sendable {
    private let threads: NIOThreadPool
    private let lanes = Mutex(TenantLanes<@Sendable () -> Void>())

    /// Of what requests hold; a sixteenth of it is a tenant's turn: a plain body of 128 KiB.
    private static let roundBytes = 8 << 20

    init(threads count: Int) {
        threads = NIOThreadPool(numberOfThreads: max(count, 1))
        threads.start()
    }

    /// - Parameter work: is dropped when the pool has ended.
    func submit(_ request: Request, work: @escaping @Sendable () -> Void) {
        let (tenant, bytes) = (request.reservation?.tenantName ?? "", request.reservation?.heldBytes ?? 0)
        lanes.withLock { $0.append(work, bytes: max(bytes, 1), tenant: tenant) }
        threads.submit { [self] state in
            // One is taken for each that was added, if not the same one.
            guard let next = lanes.withLock({ $0.take(bytes: Self.roundBytes, count: 1) }).first else { return }
            if case .active = state { next() }
        }
    }

    /// Waits for what is being worked on.
    func end() { try? threads.syncShutdownGracefully() }
}
