internal import Endpoints
internal import NIOCore

/// How many clients of one event loop are told at once to come again, over HTTP and gRPC together. Belongs to that loop.
///
/// Who is told at once and comes again at once costs more time than there is: each refusal takes a fraction of the
/// work of a request, and there can be hundreds for each that is taken. So only so many a second are told at once.
final class RefusalPace {
    private let atOnce: Int
    private let hold: ClosedRange<Int64>
    /// Refusals since this second began.
    private var refusals = 0
    private var since = NIODeadline.now()

    init(limits: HTTPLimits) { (atOnce, hold) = (limits.refusalsAtOnce, limits.refusalHold) }

    /// How long an answer is to be held back; nil: not at all, which is so of all but "come again later".
    func delay(of response: Response) -> TimeAmount? {
        guard response.status == 503 || response.status == 429 else { return nil }
        let now = NIODeadline.now()
        if now - since > .seconds(1) {
            since = now
            refusals = 0
        }
        refusals += 1
        return refusals > atOnce ? .milliseconds(.random(in: hold)) : nil
    }
}
