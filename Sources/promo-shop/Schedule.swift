internal import Glibc

/// When requests come: an even flow, and a jump at midnight.
///
/// The rate is `rate` until `rampAt` of the day, then `rate * peak` for a tenth of it, then it falls back by half
/// every twentieth. Arrivals are a Poisson process; with the seed they are always the same.
struct Schedule {
    let rate: Double
    let peak: Double
    /// Seconds.
    let duration: Double
    /// Share of the day before midnight, 0...1.
    let rampAt: Double

    /// Requests a second, `time` seconds after the opening.
    func rate(at time: Double) -> Double {
        let midnight = rampAt * duration
        guard time >= midnight else { return rate }
        let afterHold = max(0, time - midnight - duration / 10)
        return rate * max(1, peak * exp2(-afterHold / (duration / 20)))
    }

    /// The arrival after `time`, in seconds; past `duration` when the day is over.
    func next(after time: Double, _ random: inout Random) -> Double {
        let midnight = rampAt * duration
        let following = time + random.exponential() / rate(at: time)
        // Memoryless: what would come after the jump is drawn again at the rate that holds there.
        guard time < midnight, following > midnight else { return following }
        return midnight + random.exponential() / rate(at: midnight)
    }

    /// How many requests the day will bring, about.
    var expectedRequests: Double {
        let steps = 2_000
        let width = duration / Double(steps)
        return (0..<steps).reduce(0) { $0 + rate(at: (Double($1) + 0.5) * width) * width }
    }
}
