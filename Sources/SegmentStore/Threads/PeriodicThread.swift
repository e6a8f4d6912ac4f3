internal import Synchronization

/// A thread that does the same thing again and again, for as long as nobody stops it.
package final class PeriodicThread: Sendable {
    private let isStopping = Atomic<Bool>(false)
    private let signal = Signal()
    private let thread = Mutex<DedicatedThread?>(nil)

    /// - Parameter milliseconds: between the end of one turn and the next one.
    package init(every milliseconds: Int, _ body: @escaping @Sendable () -> Void) {
        thread.withLock { thread in
            thread = DedicatedThread { [self] in
                while !isStopping.load(ordering: .acquiring) {
                    signal.wait(milliseconds: milliseconds)
                    body()
                }
            }
        }
    }

    /// Ends after the turn under way; blocks until then.
    package func stop() {
        isStopping.store(true, ordering: .releasing)
        signal.raise()
        thread.withLock { $0 }?.join()
    }
}
