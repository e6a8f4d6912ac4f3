internal import CrestClient
internal import Glibc

/// Runs the shop's day in real time: waits for each arrival, hands the spans over, says each second how it goes.
///
/// When the machine is too slow for the rate the day takes longer; no request is left out, so that the totals
/// depend on the seed alone.
struct Day {
    let shop: Shop
    /// By service, then by pod.
    let recorders: [[SpanRecorder]]
    private var totals = Totals()

    init(shop: Shop, exporter: OTLPExporter) {
        self.shop = shop
        recorders = Service.allCases.map { service in
            (0..<service.podCount).map { pod in
                exporter.recorder(for: service.resource(pod: pod), scope: service.scope)
            }
        }
    }

    /// - Parameter progress: called about once a second, with the seconds since the opening.
    mutating func run(progress: (Double, Totals) -> Void) async -> Totals {
        let schedule = shop.settings.schedule
        var random = Random(seed: shop.settings.seed, stream: 3 << 40)
        let opening = ContinuousClock.now
        let epoch = wallClockNanoseconds()
        var time = schedule.next(after: 0, &random)
        var reported = 0.0
        while time < schedule.duration {
            let due = opening + .seconds(time)
            let ahead = due - ContinuousClock.now
            if ahead > .milliseconds(1) {
                try? await Task.sleep(for: ahead)
            } else if totals.requests % 64 == 0 {
                await Task.yield()
            }
            let (kind, trace) = shop.handle(at: time, epochNanoseconds: epoch)
            report(trace)
            totals.add(kind, trace)
            if time - reported >= 1 {
                reported = time.rounded(.down)
                progress(time, totals)
            }
            time = schedule.next(after: time, &random)
        }
        return totals
    }

    private func report(_ trace: RequestTrace) {
        for index in trace.spans.indices {
            let service = trace.services[index].rawValue
            recorders[service][trace.visit.pods[service]].record(trace.spans[index])
        }
    }
}

/// Nanoseconds since 1970.
func wallClockNanoseconds() -> UInt64 {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec)
}
