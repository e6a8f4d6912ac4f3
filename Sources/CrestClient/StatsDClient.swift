internal import Synchronization

/// Sends metrics as DogStatsD lines over UDP, many lines to a datagram.
///
/// ```swift
/// let statsd = try StatsDClient(.init(address: "127.0.0.1:8125"))
/// statsd.set("users.active", "u0000042")
/// statsd.timing("order.process.time", nanoseconds: 1_250_000, tags: [("result", "ok")])
/// MetricsSystem.bootstrap(StatsDMetrics(statsd))    // and swift-metrics goes the same way
/// ...
/// statsd.shutdown()
/// ```
///
/// Nothing here waits or throws after the start. Loss that can be seen from this side is in `statistics`.
public final class StatsDClient: Sendable {
    public struct Configuration: Sendable {
        /// `HOST:PORT`; IPv6 in brackets.
        public var address: String
        /// Payload of one datagram at most.
        public var maximumDatagramBytes = 1_400
        /// The longest a line waits for company, and how often counters and gauges are sent.
        public var flushInterval: Duration = .milliseconds(200)

        public init(address: String = "127.0.0.1:8125") { self.address = address }
    }

    private let core: Core
    private let ticker: Task<Void, Never>

    /// - Throws: `ConfigurationError` when the address is malformed or unknown. That nobody listens there is no
    ///   error: a server may start later.
    public init(_ configuration: Configuration = Configuration()) throws(ConfigurationError) {
        let core = try Core(configuration.address, maximumBytes: configuration.maximumDatagramBytes)
        let interval = max(configuration.flushInterval, .milliseconds(1))
        self.core = core
        self.ticker = Task.detached {
            while (try? await Task.sleep(for: interval)) != nil { core.flush() }
        }
    }

    deinit { shutdown() }

    public var statistics: DatagramStatistics { core.statistics }

    /// Adds `value` to a counter.
    public func count(_ name: String, _ value: Double = 1, tags: [(String, String)] = []) {
        append(StatsDLine(name, .counter, tags: tags), statsdNumber(value))
    }

    /// Sets a gauge.
    public func gauge(_ name: String, _ value: Double, tags: [(String, String)] = []) {
        append(StatsDLine(name, .gauge, tags: tags), statsdNumber(value))
    }

    /// Records a duration; sent in milliseconds with its fraction.
    public func timing(_ name: String, nanoseconds: Int64, tags: [(String, String)] = []) {
        append(StatsDLine(name, .timer, tags: tags), statsdMilliseconds(nanoseconds: nanoseconds))
    }

    /// Records a value that is not a duration.
    public func histogram(_ name: String, _ value: Double, tags: [(String, String)] = []) {
        append(StatsDLine(name, .histogram, tags: tags), statsdNumber(value))
    }

    /// Counts how many different elements there are.
    public func set(_ name: String, _ element: String, tags: [(String, String)] = []) {
        append(StatsDLine(name, .set, tags: tags), StatsDLine.cleanElement(element))
    }

    /// Sends what is gathered, counters and gauges included.
    public func flush() { core.flush() }

    /// Flushes and stops. What is handed in later is counted as rejected. Calling it again is harmless.
    public func shutdown() {
        ticker.cancel()
        core.close()
    }

    /// One line with its value as text; `nil` counts as rejected.
    package func append(_ line: StatsDLine, _ value: [UInt8]?) { core.append(value.map(line.bytes)) }

    /// Called before each flush, to hand in what was added up since the last one.
    package func onFlush(_ collect: @escaping @Sendable () -> Void) { core.onFlush(collect) }
}

extension StatsDClient {
    /// The socket and the buffer, apart from the client so that the ticker does not keep the client alive.
    fileprivate final class Core: Sendable {
        private struct State: ~Copyable {
            var packer: DatagramPacker
            var socket: DatagramSocket
            var statistics = DatagramStatistics()
            var closed = false

            mutating func send(_ datagram: DatagramPacker.Datagram) {
                switch socket.send(datagram.bytes) {
                case .dropped:
                    statistics.datagramsDropped += 1
                    statistics.linesDropped += datagram.lineCount
                    return
                case .sentAfterRefusal: statistics.datagramsRefused += 1
                case .sent: break
                }
                statistics.datagramsSent += 1
                statistics.linesSent += datagram.lineCount
                statistics.bytesSent += datagram.bytes.count
            }
        }

        private let state: Mutex<State>
        private let collectors = Mutex<[@Sendable () -> Void]>([])

        init(_ address: String, maximumBytes: Int) throws(ConfigurationError) {
            let socket = try DatagramSocket(connectedTo: address)
            self.state = Mutex(
                State(packer: DatagramPacker(maximumBytes: min(maximumBytes, 65_507)), socket: socket))
        }

        var statistics: DatagramStatistics { state.withLock { $0.statistics } }

        func append(_ line: [UInt8]?) {
            state.withLock { state in
                guard let line, !state.closed else {
                    state.statistics.linesRejected += 1
                    return
                }
                switch state.packer.append(line) {
                case .kept: break
                case .full(let datagram): state.send(datagram)
                case .tooLong: state.statistics.linesRejected += 1
                }
            }
        }

        func onFlush(_ collect: @escaping @Sendable () -> Void) { collectors.withLock { $0.append(collect) } }

        func flush() {
            for collect in collectors.withLock({ $0 }) { collect() }
            state.withLock { state in
                if let datagram = state.packer.take() { state.send(datagram) }
            }
        }

        func close() {
            if state.withLock({ $0.closed }) { return }
            flush()
            state.withLock { state in
                state.closed = true
                if let datagram = state.packer.take() { state.send(datagram) }
            }
        }
    }
}
