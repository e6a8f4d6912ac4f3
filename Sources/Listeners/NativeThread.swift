internal import CLinux
internal import Glibc
internal import Synchronization

/// A joinable thread of the operating system, for loops that block outside of any pool.
final class NativeThread: Sendable {
    private let handle: Mutex<pthread_t?>

    /// Starts `body` at once. The kernel keeps 15 bytes of the name.
    init(name: String, _ body: @escaping @Sendable () -> Void) {
        let start = Unmanaged.passRetained(ThreadStart(name: name, body: body))
        var handle = pthread_t()
        let result = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
                clinux_name_thread(start.name)
                start.body()
                return nil
            }, start.toOpaque())
        if result != 0 {
            start.release()
            self.handle = Mutex(nil)
        } else {
            self.handle = Mutex(handle)
        }
    }

    /// Waits for the end. A second call returns at once.
    func join() {
        let taken = handle.withLock { handle in
            defer { handle = nil }
            return handle
        }
        if let taken { pthread_join(taken, nil) }
    }
}

private final class ThreadStart: Sendable {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
        self.name = name
        self.body = body
    }
}

/// Blocks the calling thread.
func pauseThread(milliseconds: UInt32) { usleep(milliseconds &* 1_000) }
