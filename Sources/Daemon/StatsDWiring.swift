internal import Endpoints
internal import HostIO
internal import Listeners
internal import Logging
internal import MetricsEngine
internal import Synchronization

extension CrestDaemon {
    /// Binds every address of `--statsd` in its order. The metrics call the first one `statsd`, the next `statsd/2`.
    func bindStatsD(_ metrics: MetricsService) throws(StartFailure) {
        var number = 0
        for address in configuration.addresses(.statsD) where address != .off {
            number += 1
            let label = number == 1 ? "statsd" : "statsd/\(number)"
            do throws(ListenerError) {
                note(try bindStatsD(address, label, metrics), of: .statsD)
            } catch { throw StartFailure(error, .statsD) }
        }
    }

    /// - Returns: the address with its real port.
    private func bindStatsD(
        _ address: ListenerAddress, _ label: String, _ metrics: MetricsService
    ) throws(ListenerError) -> ListenerAddress {
        switch address {
        case .off: return .off
        case .internet(let address):
            let listener = try UDPListener(
                address, workers: statsDWorkers, receiveBufferBytes: Self.statsDBufferBytes, ledger: ledger
            ) { _ in StatsDDatagrams(receiver: metrics.makeReceiver()) }
            udp.withLock { $0.append((name: label, listener: listener)) }
            warn(of: listener.buffer, "\(listener.address)")
            return .internet(listener.address)
        case .unixDatagram(let path):
            let listener = try UnixDatagramListener(path: path, ledger: ledger) {
                StatsDDatagrams(receiver: metrics.makeReceiver())
            }
            udp.withLock { $0.append((name: label, listener: listener)) }
            return address
        case .stream(let address):
            let listener = try LineListener(address, ledger: ledger) {
                StatsDDatagrams(receiver: metrics.makeReceiver())
            }
            streams.withLock { $0.append((name: label, listener: listener)) }
            return .stream(listener.address)
        }
    }

    /// Asked of the kernel for each socket: room for 0.3 s of 50,000 datagrams of 1,400 bytes a second.
    private static let statsDBufferBytes = 16 << 20

    /// Half of the cores up to four, one on a small machine: the other half is for answers and the store.
    private var statsDWorkers: Int {
        configuration.statsDWorkers ?? min(max(HostProcess.coreCount / 2, 1), 4)
    }

    /// New rules count for keys that are seen from now on, and for those that receivers know as soon as they look.
    func apply(_ configuration: Configuration, to metrics: MetricsService) {
        metrics.engine.setLimits(configuration.metricLimits.seriesLimits)
        metrics.engine.setExpiry(configuration.metricLimits.expiry)
        // The rules were checked when the configuration was resolved.
        if let dialect = try? configuration.statsDDialect() { metrics.replace(dialect) }
    }

    /// Says in the log that the kernel granted less than was asked.
    func warn(of buffer: ReceiveBuffer, _ address: String) {
        guard buffer.isClipped else { return }
        log.warning(
            "the kernel granted less receive buffer than asked; for all of it run: \(buffer.remedy)",
            metadata: [
                "listener": "\(address)", "asked_bytes": "\(2 * buffer.askedBytes)",
                "granted_bytes": "\(buffer.grantedBytes)",
            ])
    }
}

extension DaemonMetrics {
    /// Connections that bring lines.
    var lineStreams: [SelfMetricFamily] {
        let counts = streams.map { ($0.name, $0.listener.counts) }
        guard !counts.isEmpty else { return [] }
        let open = counts.map {
            SelfMetricFamily.Sample(labels: [("listener", $0.0)], value: Double($0.1.open))
        }
        return [
            SelfMetricFamily(
                name: "crest_line_connections", isCounter: false, help: "Open connections that bring lines.",
                samples: open),
            .counters(
                "crest_line_connections_accepted_total", "Line connections accepted.", by: "listener",
                counts.map { ($0.0, $0.1.accepted) }),
            .counters(
                "crest_line_connections_refused_total", "Line connections closed because there were too many.",
                by: "listener", counts.map { ($0.0, $0.1.refused) }),
            .counters(
                "crest_line_connections_idle_closed_total", "Line connections closed because they were silent.",
                by: "listener", counts.map { ($0.0, $0.1.idled) }),
            .counters(
                "crest_lines_cut_total", "Lines without an end whose connection broke.", by: "listener",
                counts.map { ($0.0, $0.1.cutLines) }),
        ]
    }
}
