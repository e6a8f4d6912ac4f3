internal import Metrics
internal import Synchronization

/// A whole-number counter: holds the increase since the last report.
final class StatsDCounter: CounterHandler {
    let line: StatsDLine
    private let increase = Atomic<Int64>(0)
    /// Set by an increment of zero too, so that a counter can be announced before it first counts.
    private let isTouched = Atomic<Bool>(false)

    init(_ line: StatsDLine) { self.line = line }

    func increment(by amount: Int64) {
        increase.wrappingAdd(amount, ordering: .relaxed)
        isTouched.store(true, ordering: .releasing)
    }

    /// Nothing to do: the server's total only grows, and what was counted stays counted.
    func reset() {}

    func report(to client: StatsDClient) {
        guard isTouched.exchange(false, ordering: .acquiring) else { return }
        client.append(line, Array(String(increase.exchange(0, ordering: .relaxed)).utf8))
    }
}

/// The same for fractions.
final class StatsDFloatingCounter: FloatingPointCounterHandler {
    let line: StatsDLine
    private let increase = Mutex<Double?>(nil)

    init(_ line: StatsDLine) { self.line = line }

    /// Ignores what is not a finite number: one NaN would spoil the total for good.
    func increment(by amount: Double) {
        guard amount.isFinite else { return }
        increase.withLock { $0 = ($0 ?? 0) + amount }
    }

    /// Nothing to do: the server's total only grows.
    func reset() {}

    func report(to client: StatsDClient) {
        let amount = increase.withLock { increase in
            defer { increase = nil }
            return increase
        }
        if let amount { client.append(line, statsdNumber(amount)) }
    }
}

/// A last value: swift-metrics' `Gauge` and `Meter`.
final class StatsDGauge: RecorderHandler, MeterHandler {
    private struct Value {
        var current = 0.0
        var isTouched = false
    }

    let line: StatsDLine
    private let value = Mutex(Value())

    init(_ line: StatsDLine) { self.line = line }

    func record(_ value: Int64) { set(Double(value)) }
    func record(_ value: Double) { set(value) }
    func set(_ value: Int64) { set(Double(value)) }

    func set(_ new: Double) { value.withLock { $0 = Value(current: new, isTouched: true) } }

    func increment(by amount: Double) {
        value.withLock { $0 = Value(current: $0.current + amount, isTouched: true) }
    }

    func decrement(by amount: Double) { increment(by: -amount) }

    func report(to client: StatsDClient) {
        let current: Double? = value.withLock { value in
            defer { value.isTouched = false }
            return value.isTouched ? value.current : nil
        }
        if let current { client.append(line, statsdNumber(current)) }
    }
}

/// Every value is a line: swift-metrics' `Timer` and aggregating `Recorder`.
final class StatsDValues: RecorderHandler, TimerHandler {
    private let line: StatsDLine
    private let client: StatsDClient

    init(_ line: StatsDLine, _ client: StatsDClient) {
        self.line = line
        self.client = client
    }

    func record(_ value: Int64) { client.append(line, Array(String(value).utf8)) }
    func record(_ value: Double) { client.append(line, statsdNumber(value)) }

    func recordNanoseconds(_ duration: Int64) {
        client.append(line, statsdMilliseconds(nanoseconds: duration))
    }
}
