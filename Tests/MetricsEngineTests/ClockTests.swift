import MetricsEngine
import Telemetry
import Testing

/// Wall clocks as they really run: pulled by NTP, stepped, with a second too many or too few.
@Suite("Clocks that do not run evenly")
struct ClockTests {
    struct Clock: Sendable, CustomTestStringConvertible {
        var testDescription: String
        /// Nanoseconds on the clock after so many nanoseconds of real time.
        var reading: @Sendable (Int64) -> Int64
    }

    private static let start: Int64 = 1_790_000_000_000_000_000
    private static let second: Int64 = 1_000_000_000

    static let clocks: [Clock] = [
        Clock(testDescription: "500 ppm fast") { start + $0 + $0 / 2_000 },
        Clock(testDescription: "500 ppm slow") { start + $0 - $0 / 2_000 },
        Clock(testDescription: "smeared") { start + $0 - $0 / 86_400 },
        Clock(testDescription: "a leap second, its number twice") { start + ($0 < 40 * second ? $0 : $0 - second) },
        Clock(testDescription: "a second left out") { start + ($0 < 40 * second ? $0 : $0 + second) },
        Clock(testDescription: "ten seconds back") { start + ($0 < 40 * second ? $0 : $0 - 10 * second) },
        Clock(testDescription: "an hour forward") { start + ($0 < 40 * second ? $0 : $0 + 3_600 * second) },
        Clock(testDescription: "trembling") { start + $0 + ($0 / 10_000_000 % 2 == 0 ? 400_000_000 : -400_000_000) },
    ]

    @Test("Nothing is counted twice or left out, and no interval is negative", arguments: clocks)
    func totals(clock: Clock) {
        let engine = MetricsEngine()
        let shard = engine.makeShard()
        var ticks = 0.0
        for step in 0..<400 {
            let now = clock.reading(Int64(step) * Self.second / 4)
            shard.tick(nowNanoseconds: now)
            feed(shard, engine, "ticks", .counter, 1)
            feed(shard, engine, "lag", .timer, 5)
            feed(shard, engine, "step", .gauge, Double(step))
            ticks += 1
            if step % 4 == 3 { engine.advance(nowNanoseconds: now) }
        }
        let end = clock.reading(100 * Self.second)
        while !shard.flush(nowNanoseconds: end) { engine.advance(nowNanoseconds: end) }
        engine.advance(nowNanoseconds: end)
        let shown = snapshot(engine, at: end / Self.second)
        #expect(shown["ticks_total"] == ticks)
        #expect(shown["lag_seconds_count"] == ticks)
        #expect(shown["step"] == 399)
    }

    @Test("A process that slept for six hours hands over one second, not twenty thousand")
    func pause() {
        let engine = MetricsEngine()
        engine.holdForLog()
        let shard = engine.makeShard()
        shard.tick(nowNanoseconds: Self.start)
        feed(shard, engine, "ticks", .counter, 1)
        let later = Self.start + 6 * 3_600 * Self.second
        shard.tick(nowNanoseconds: later)
        feed(shard, engine, "ticks", .counter, 1)
        shard.tick(nowNanoseconds: later + Self.second)
        let seconds = engine.takeClosed().records.filter { $0.kind == .second }
        engine.settle()
        #expect(seconds.count == 2)
        #expect(snapshot(engine, at: later / Self.second + 1)["ticks_total"] == 2)
    }
}
