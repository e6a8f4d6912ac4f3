internal import Synchronization

/// What becomes of an overloaded sender's batch in which some spans would be shed.
package enum MixedBatch: String, CaseIterable, Sendable {
    /// It is refused as a whole; the client keeps everything and sends it again.
    case retry
    /// Its important spans are taken, the others are shed, and the answer says how many.
    case shed
}

/// How many of the 256 levels of sheddable traces are taken at the moment, by how long requests wait for the store.
///
/// Over each 100 ms or 2,000 requests, whichever comes first: a mean wait beyond 20 ms cuts the level by 5 %, any other
/// gives 1 % of all levels back; so does every 100 ms without a request.
///
///     level 0                    128                    256
///           | 128 levels of P2    | 128 levels of P3    |     a trace is taken when its own level is below
package final class AdmissionLevel: Sendable {
    package static let full = 256
    static let windowNanoseconds: UInt64 = 100_000_000
    static let windowRequests = 2_000
    static let waitNanoseconds: UInt64 = 20_000_000

    private struct Window {
        var start: UInt64 = 0
        var requests = 0
        var waited: UInt64 = 0
    }

    /// In 256ths of a level, so that small changes add up.
    private let position = Atomic<UInt32>(UInt32(AdmissionLevel.full) << 8)
    private let window = Mutex(Window())

    package init() {}

    /// 0...256.
    package var level: Int { Int(position.load(ordering: .relaxed) >> 8) }
    package var isFull: Bool { level >= Self.full }

    /// Counts requests that the store has just begun with.
    /// - Parameters:
    ///   - waited: nanoseconds that they waited, all together.
    ///   - now: ``MonotonicTime``.
    package func note(requests: Int, waited: UInt64, now: UInt64) {
        window.withLock { window in
            window.requests += requests
            window.waited &+= waited
            judge(&window, now)
        }
    }

    /// Judges a time that is over although nothing more has come.
    package func pass(now: UInt64) {
        guard !isFull else { return }
        window.withLock { judge(&$0, now) }
    }

    private func judge(_ window: inout Window, _ now: UInt64) {
        let periods = age(window, now) / Self.windowNanoseconds
        guard window.requests >= Self.windowRequests || periods > 0 else { return }
        let mean = window.waited / UInt64(max(window.requests, 1))
        if mean > Self.waitNanoseconds { cut() } else { raise(by: max(periods, 1)) }
        window = Window(start: now)
    }

    private func age(_ window: Window, _ now: UInt64) -> UInt64 { now > window.start ? now - window.start : 0 }

    private func cut() {
        let old = position.load(ordering: .relaxed)
        position.store(old - old / 20, ordering: .relaxed)
    }

    private func raise(by percent: UInt64) {
        let most = UInt32(Self.full) << 8
        let old = position.load(ordering: .relaxed)
        guard old < most else { return }
        let step = UInt32(clamping: min(percent, 100)) * (most / 100 + 1)
        position.store(min(old + step, most), ordering: .relaxed)
    }
}
