internal import Glibc

/// A signal that the daemon answers.
package enum HostSignal: Sendable {
    /// SIGTERM or SIGINT.
    case stop
    /// SIGHUP.
    case reload
}

/// Signals taken by a thread that waits for them, so that no code ever runs in a signal handler.
package enum HostSignals {
    /// Blocks the signals for the calling thread and all it starts; call it before there are others. A write to a
    /// closed socket, or beyond a limit on the size of files, becomes an error instead of a signal.
    package static func block() {
        var signals = handled()
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)
        signal(SIGXFSZ, SIG_IGN)
    }

    /// Waits for the next signal; nil when none came in time.
    package static func wait(milliseconds: Int) -> HostSignal? {
        var signals = handled()
        var limit = timespec(tv_sec: milliseconds / 1_000, tv_nsec: milliseconds % 1_000 * 1_000_000)
        switch sigtimedwait(&signals, nil, &limit) {
        case SIGTERM, SIGINT: return .stop
        case SIGHUP: return .reload
        default: return nil
        }
    }

    private static func handled() -> sigset_t {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
        return signals
    }
}
