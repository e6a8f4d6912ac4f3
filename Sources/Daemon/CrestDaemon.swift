internal import Endpoints
internal import HostIO
internal import Listeners
package import Logging
internal import MetricsEngine
internal import SegmentStore
internal import SpanPipeline
internal import Synchronization
internal import Telemetry

/// The running daemon: store, metrics, listeners, and the way from each to the others.
///
/// Starts in this order: data directory and its lock, HTTP sockets (which answer 503 until the end of the start),
/// recovery, datagram sockets, ready. Stops in the reverse one, so that all that was acknowledged is on disk before
/// the process ends.
package final class CrestDaemon: Sendable {
    let configuration: Configuration
    let log: Logger
    let ledger = Ledger()
    let phase = DaemonPhase()
    let door = StoreDoor()
    let server: HTTPServer
    let grpcServer: GRPCServer
    let disk: HostDisk
    let access: AccessControl
    let admission: AdmissionControl
    let tls: TLSServer?
    let startedAt = SystemClock.now()
    let datagramSources = DatagramSources(since: SystemClock.now())
    let load = LoadSignal()
    let shedder: LoadShedder
    let bound = Mutex<[ListenerName: [ListenerAddress]]>([:])
    let udp = Mutex<[(name: String, listener: any DatagramListener)]>([])
    let streams = Mutex<[(name: String, listener: LineListener)]>([])
    /// What `POST /-/reload` and SIGHUP do; set by the program.
    let reloading = Mutex<@Sendable () -> String?>({ "this daemon has nothing to reload" })
    let reloads = ReloadCounts(now: SystemClock.now)
    let service = Mutex<MetricsService?>(nil)
    /// Metrics of other tenants than the default one; nil without tokens.
    let tenants = Mutex<TenantMetrics?>(nil)
    let metricsLog = Mutex<MetricsLog?>(nil)
    let recorder = Mutex<MetricsRecorder?>(nil)
    private let tally: LineTally

    /// Starts everything and returns when the daemon is ready.
    package init(_ configuration: Configuration, log: Logger) throws(StartFailure) {
        self.configuration = configuration
        self.log = log
        access = Self.accessControl(configuration)
        shedder = LoadShedder(
            ledger: ledger, signal: load, mixedBatch: configuration.mixedBatch,
            ringBytes: configuration.memory.shares.regretRing)
        let budget = Self.memoryBudget(configuration, load, door)
        admission = AdmissionControl(
            budget: budget, settings: configuration.rates.settings, clock: SystemClock.monotonic)
        tls = try Self.tlsServer(configuration.access)
        disk = try Self.openDirectory(configuration.dataDirectory)
        tally = configuration.durability == .memory ? LineTally() : disk.mapTally() ?? LineTally()
        do {
            var (http, grpc) = (HTTPLimits(), GRPCLimits())
            http.bodyBytes = budget.bodyBytes
            grpc.messageBytes = budget.bodyBytes
            server = try HTTPServer(
                limits: http, budget: budget, loopThreads: 2, poolThreads: 2, queryThreads: Self.queryThreads)
            grpcServer = try GRPCServer(beside: server, limits: grpc)
        } catch {
            throw StartFailure(.runtime, "cannot start event loops: \(error)")
        }
        do throws(StartFailure) {
            let metrics = makeMetrics(try configuration.statsDDialect())
            service.withLock { $0 = metrics }
            makeTenants(beside: metrics)
            let router = Router(context(metrics))
            try bindHTTP(router)
            try bindGRPC(router)
            try openStore()
            try openRecorder(metrics)
            try openMetricsLog(metrics)
            recorder.withLock { $0 }?.start()
            try openTenants()
            try bindStatsD(metrics)
            try bindJaegerUDP(router.context)
            try bindCrestUDP(router.context, metrics)
        } catch {
            stopListeners(within: .zero)
            closeMetricsLog()
            door.store?.close()
            throw error
        }
        phase.set(.ready)
    }

    /// Every listener with its real addresses; none: off.
    package var readyLine: ReadyLine {
        let bound = bound.withLock { $0 }
        return ReadyLine(
            listeners: ListenerName.allCases.map { ($0.rawValue, (bound[$0] ?? []).map(\.description)) })
    }

    /// What is due about once a second.
    package func everySecond() {
        service.withLock { $0 }?.advance()
        tenants.withLock { $0 }?.metrics.advance()
        shedder.expire()
        door.store?.applyRetention(now: SystemClock.now())
    }

    /// Applies what of a new configuration can change while running, the log level aside.
    func apply(_ configuration: Configuration) {
        door.store?.setRetention(retention(configuration))
        apply(configuration.access)
        if let metrics = service.withLock({ $0 }) { apply(configuration, to: metrics) }
        tenants.withLock { $0 }?.apply(configuration)
        if configuration.recorderAge != 0 { recorder.withLock { $0 }?.setRetention(.init(configuration)) }
    }

    package func onReload(_ reload: @escaping @Sendable () -> String?) { reloading.withLock { $0 = reload } }

    /// Stops accepting, finishes what is in flight, seals and closes the store. Blocks.
    /// - Returns: false when the store holds something that the disk does not have. A client that was too slow to be
    ///   answered in time is no failure: it got no acknowledgement and sends again.
    package func stop(within limit: Duration) -> Bool {
        phase.set(.stopping)
        let isDrained = stopListeners(within: limit)
        if !isDrained { log.warning("requests in flight were cut") }
        shedder.empty()
        let isLogSafe = closeMetricsLog()
        if !isLogSafe { log.error("the metrics log does not have the last seconds of the metrics") }
        let isSafe = door.store?.close() ?? true
        if !isSafe { log.error("the store could not write everything it holds in memory") }
        return isSafe && isLogSafe
    }

    @discardableResult
    private func stopListeners(within limit: Duration) -> Bool {
        for entry in udp.withLock({ $0 }) { entry.listener.stop() }
        for entry in streams.withLock({ $0 }) { entry.listener.stop() }
        let start = ContinuousClock.now
        let isGRPCDrained = grpcServer.drain(within: limit / 2)
        return server.drain(within: limit - (ContinuousClock.now - start)) && isGRPCDrained
    }

    // MARK: Parts

    private static func openDirectory(_ path: String) throws(StartFailure) -> HostDisk {
        do {
            let disk = try HostDisk(path)
            // Looked at before any port is bound: a second daemon should hear of the directory, not of a port.
            try disk.lock(StorePath.lock).close()
            return disk
        } catch { throw StartFailure(StoreOpenError(disk: error), directory: path) }
    }

    private func openStore() throws(StartFailure) {
        let settings = storeSettings()
        do {
            let store = try SegmentStore.open(disk, configuration: settings)
            ledger.spansReceived.store(store.ledgerTerms.stored, ordering: .releasing)
            door.open(store)
            report(store.recovery)
        } catch { throw StartFailure(error, directory: configuration.dataDirectory) }
    }

    func storeSettings() -> StoreConfiguration {
        var settings = StoreConfiguration(wallClock: SystemClock.now)
        settings.durability = configuration.durability
        settings.headBytes = configuration.memory.shares.head
        settings.commitQueueBytes = configuration.memory.shares.commitQueue
        settings.admission = shedder.admission
        settings.isPressed = { [budget = admission.budget] in budget.isRefusing }
        settings.retention = retention(configuration)
        settings.snapshotAge = configuration.snapshotAge
        settings.openSegments = min(settings.openSegments, max(32, HostProcess.descriptorLimit / 4))
        settings.log = { [log] level, text in
            switch level {
            case .info: log.info("\(text)")
            case .warning: log.warning("\(text)")
            case .error: log.error("\(text)")
            }
        }
        return settings
    }

    /// Brings the metric state back; the store, and with it the directory's lock, must be open.
    private func openMetricsLog(_ metrics: MetricsService) throws(StartFailure) {
        do {
            let opened = try MetricsLog.open(
                disk, source: metrics, tally: tally, configuration: storeSettings(),
                recorder: recorder.withLock { $0 })
            metricsLog.withLock { $0 = opened }
            ledger.linesLostAtCrash.store(opened.counts.lostLines, ordering: .relaxed)
            for problem in opened.recovery.problems { log.warning("recovery: \(problem)") }
            if opened.recovery.groups > 0 {
                log.info(
                    "metrics recovered",
                    metadata: [
                        "series": "\(metrics.engine.seriesCounts.series)", "bytes": "\(opened.recovery.bytes)",
                        "lost_lines": "\(opened.recovery.lostLines)",
                    ])
            }
        } catch { throw StartFailure(StoreOpenError(disk: error), directory: configuration.dataDirectory) }
    }

    @discardableResult
    private func closeMetricsLog() -> Bool {
        service.withLock { $0 }?.finish()
        let isLogSafe = metricsLog.withLock { $0 }?.close() ?? true
        if recorder.withLock({ $0 })?.close() == false { log.error("the recorder does not have the last seconds") }
        return (tenants.withLock { $0 }?.close() ?? true) && isLogSafe
    }

    private func retention(_ configuration: Configuration) -> RetentionPolicy {
        var policy = RetentionPolicy(age: configuration.retentionAge, bytes: bytes(of: configuration.retentionSpace))
        policy.take(configuration.classRules) { bytes(of: $0) }
        return policy
    }

    private func bytes(of space: Configuration.Space) -> UInt64? {
        switch space {
        case .bytes(let bytes): return bytes
        case .percent(let share):
            do { return try disk.space().totalBytes / 100 * share } catch {
                log.warning("retention by share of the disk: \(error)")
                return nil
            }
        }
    }

    private func report(_ recovery: RecoveryReport) {
        if !recovery.isNew {
            log.info(
                "recovered",
                metadata: [
                    "segments": "\(recovery.segments)", "replayed_spans": "\(recovery.replayedSpans)",
                    "torn_bytes": "\(recovery.tornBytes)", "lost_spans": "\(recovery.lostSpans)",
                ])
        }
        for problem in recovery.problems { log.warning("recovery: \(problem)") }
    }

    private func makeMetrics(_ dialect: StatsDDialect) -> MetricsService {
        MetricsService(
            engine: configuration.metricLimits.engine(tally), ledger: ledger, now: SystemClock.now, dialect: dialect,
            selfMetrics: { [weak self] in
                guard let self else { return [] }
                return metrics.families + admission.selfMetrics + reloads.families + (tls?.families ?? [])
                    + (tenants.withLock { $0 }?.metrics.families ?? [])
            },
            recorder: { [weak self] in self?.recorder.withLock { $0 } },
            spanSeries: configuration.metricLimits.spanSeries)
    }

    private var metrics: DaemonMetrics {
        DaemonMetrics(
            store: door.store?.ledgerTerms, scrub: door.store?.scrubCounts, space: door.store?.space,
            metricsLog: metricsLog.withLock { $0 }?.counts, recorder: recorder.withLock { $0 }?.counts,
            server: server, grpc: grpcServer.counts, datagramSources: datagramSources, shedder: shedder,
            udp: udp.withLock { $0 }, streams: streams.withLock { $0 },
            isReady: phase.isReady && readOnlyReason == nil)
    }

    var seriesCount: Int {
        guard let metrics = service.withLock({ $0 }) else { return 0 }
        let others = tenants.withLock { $0 }?.metrics.seriesCount ?? 0
        return Int(clamping: metrics.engine.seriesCounts.series) + others
    }

    // MARK: Listeners

    private func bindHTTP(_ router: Router) throws(StartFailure) {
        for (name, role) in Self.httpRoles {
            for case .internet(let address) in configuration.addresses(name) {
                let service = HTTPWiring(router: router, role: role, phase: phase).service
                do throws(ListenerError) {
                    let real = try server.bind(address, service: service, tls: tls)
                    note(.internet(real), of: name)
                } catch { throw StartFailure(error, name) }
            }
        }
    }

    func note(_ address: ListenerAddress, of name: ListenerName) {
        bound.withLock { bound in bound[name, default: []].append(address) }
    }
}

extension StartFailure {
    init(_ error: ListenerError, _ name: ListenerName) {
        let code: ExitCode = if case .notPermitted = error { .permission } else { .runtime }
        self.init(code, "--\(name.rawValue): \(error)")
    }

    init(_ error: StoreOpenError, directory: String) {
        switch error {
        case .inUse: self.init(.dataDirectoryInUse, "the data directory \(directory) is in use by another crestd")
        case .disk(let error): self.init(.inputOutput, "the data directory \(directory): \(error)")
        case .permission(let error):
            let owner = HostProcess.owner(directory).map { "belongs to user \($0) and " } ?? ""
            self.init(
                .permission,
                "the data directory \(directory) \(owner)cannot be used by user \(HostProcess.userID): \(error)")
        case .unknownFormat(let path, let major):
            self.init(.configuration, "\(directory)/\(path) has format \(major), which this version does not know")
        }
    }
}

extension StoreOpenError {
    init(disk error: DiskError) {
        if error.isInUse {
            self = .inUse(error.path)
        } else {
            self = error.isPermission ? .permission(error) : .disk(error)
        }
    }
}
