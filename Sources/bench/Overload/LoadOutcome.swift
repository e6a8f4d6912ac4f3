/// What became of the requests of one source in one run.
struct LoadOutcome {
    /// What became of one request.
    enum Result: UInt8 {
        /// Sent, or partly sent, and not answered yet.
        case open
        case accepted
        /// Answered 200, with some spans refused for good.
        case partlyAccepted
        /// 503 or 429.
        case refused
        case otherStatus
        /// The connection ended, or the patience did, before an answer.
        case unanswered
    }

    /// Requests that were due by the schedule.
    var offered = 0
    /// Of them: no connection was free, so that the client had to drop them.
    var unsent = 0
    var sent = 0
    var repeated = 0
    var accepted = 0
    /// Spans in what was accepted within the time of the run.
    var acceptedSpans = 0
    var busy = 0
    var quota = 0
    var otherStatus = 0
    var broken = 0
    var timedOut = 0
    /// Of accepted requests, from the moment at which each was due; and when, from the start of the run.
    var milliseconds: [Double] = []
    var answeredAt: [Double] = []
    /// Requests sent in each tenth of a second, repetitions included.
    var sentPerTenth: [Int] = []
    /// By how much a request with a free connection was sent late: above a few milliseconds, the sender is the limit.
    var latestSend = 0.0
    /// The number of the first request, and what became of it and of those after it.
    let firstNumber: Int
    let seconds: Double
    var results: [Result] = []

    init(firstNumber: Int, seconds: Double) {
        self.firstNumber = firstNumber
        self.seconds = seconds
    }

    /// Requests that reached the server's code, as far as the answers tell.
    var answered: Int { accepted + busy + quota + otherStatus }
    var goodput: Double { Double(acceptedSpans) / seconds }
    func latency(_ share: Double) -> Double { percentile(milliseconds, share) }

    mutating func countSent(at time: Double) {
        let tenth = max(0, Int(time * 10))
        while sentPerTenth.count <= tenth { sentPerTenth.append(0) }
        sentPerTenth[tenth] += 1
    }

    /// - Parameter spans: that count as goodput.
    mutating func count(_ reply: LoadReply, number: Int, spans: Int, latency: Double, at time: Double) {
        switch reply.status {
        case 200:
            accepted += 1
            acceptedSpans += spans
            milliseconds.append(latency)
            answeredAt.append(time)
            note(number, reply.rejectedSpans > 0 ? .partlyAccepted : .accepted)
        case 503:
            busy += 1
            note(number, .refused)
        case 429:
            quota += 1
            note(number, .refused)
        default:
            otherStatus += 1
            note(number, .otherStatus)
        }
    }

    mutating func lose(_ number: Int) {
        broken += 1
        note(number, .unanswered)
    }

    private mutating func note(_ number: Int, _ result: Result) {
        if results.indices.contains(number - firstNumber) { results[number - firstNumber] = result }
    }

    /// The numbers of the requests that came to this.
    func numbers(_ wanted: Result) -> [Int] {
        results.indices.lazy.filter { results[$0] == wanted }.map { $0 + firstNumber }
    }
}
