/// Stops calling a partner that fails, and tries again after a while.
///
/// Closed: calls go through; when half of the last `window` calls failed it opens. Open: nothing goes through for
/// `pause` seconds. Half open: calls go through one at a time; `probes` successes close it, one failure opens it.
struct CircuitBreaker {
    /// Raw values are what the gauge shows.
    enum State: Int {
        case closed = 0
        case halfOpen = 1
        case open = 2
    }

    private(set) var state = State.closed
    private let window: Int
    private let pause: Double
    private let probes: Int
    private var outcomes: [Bool] = []
    private var reopensAt = 0.0
    private var successes = 0

    init(window: Int = 20, pause: Double, probes: Int = 3) {
        self.window = max(2, window)
        self.pause = pause
        self.probes = max(1, probes)
    }

    /// Whether a call may go out at `time` (seconds).
    mutating func allows(at time: Double) -> Bool {
        if state == .open, time >= reopensAt {
            state = .halfOpen
            successes = 0
        }
        return state != .open
    }

    mutating func record(success: Bool, at time: Double) {
        switch state {
        case .open: return
        case .halfOpen:
            guard success else { return open(at: time) }
            successes += 1
            if successes >= probes {
                state = .closed
                outcomes = []
            }
        case .closed:
            outcomes.append(success)
            if outcomes.count > window { outcomes.removeFirst() }
            let failures = outcomes.count { !$0 }
            if outcomes.count == window, failures * 2 >= window { open(at: time) }
        }
    }

    private mutating func open(at time: Double) {
        state = .open
        reopensAt = time + pause
    }
}
