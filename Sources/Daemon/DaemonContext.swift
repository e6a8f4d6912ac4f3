internal import Endpoints
internal import HostIO
internal import Listeners
internal import SegmentStore
internal import Synchronization
internal import Telemetry

extension CrestDaemon {
    /// What the endpoints may use and ask.
    func context(_ metrics: MetricsService) -> EndpointContext {
        var questions = DaemonQuestions()
        let (phase, door) = (phase, door)
        questions.isReady = { phase.isReady }
        questions.readOnlyReason = { [weak self] in self?.readOnlyReason }
        questions.overload = {
            guard let store = door.store else { return .busy(retryAfter: 1) }
            switch store.state {
            case .readOnly(let reason): return .readOnly(reason)
            case .closed: return .stopping
            case .ok, .degraded: return nil
            }
        }
        questions.isStoreBehind = { door.store?.isBehind ?? false }
        questions.durableSequence = { door.store?.ledgerTerms.durableSequence ?? 0 }
        questions.delete = { door.delete($0, tenant: $1) }
        questions.pin = { door.pin($0, tenant: $1) }
        questions.unpin = { door.unpin($0, tenant: $1) }
        questions.pins = { door.pins(tenant: $0) }
        questions.store = { door.store.map { StoreCounts($0.ledgerTerms) } ?? StoreCounts() }
        questions.makeSnapshot = { [weak self] in self?.makeSnapshot() ?? .failure(SnapshotRefusal("stopping")) }
        questions.snapshots = { [weak self] in self?.snapshots ?? [] }
        questions.status = { [weak self] in self?.status ?? DaemonStatus() }
        questions.reload = { [weak self] in
            guard let self else { return "stopping" }
            return reloading.withLock { $0 }()
        }
        var context = EndpointContext(
            sink: door, source: door, ledger: ledger, durability: configuration.durability, now: SystemClock.now,
            metrics: handlers(metrics), daemon: questions)
        context.tenants = tenants.withLock { $0 }?.metrics
        context.access = access
        context.admission = admission
        context.datagramSources = datagramSources
        context.shedder = shedder
        if configuration.recorderAge != 0 {
            context.samples = RecorderSampleSource(
                engine: metrics.engine, segments: { [weak self] in self?.recorder.withLock { $0 } },
                now: SystemClock.now)
        }
        return context
    }

    /// Why the store takes nothing; nil while it does, or is not open.
    var readOnlyReason: String? {
        guard case .readOnly(let reason)? = door.store?.state else { return nil }
        return reason
    }

    private var status: DaemonStatus {
        var status = DaemonStatus()
        status.version = CrestVersion.text
        status.startedUnixNano = startedAt
        status.listeners = readyLine.listeners.flatMap { listener in
            let addresses = listener.addresses.isEmpty ? ["off"] : listener.addresses
            return [(listener.name, addresses.joined(separator: ","))]
        }
        status.dataDirectory = configuration.dataDirectory
        status.seriesCount = seriesCount
        status.residentBytes = HostProcess.residentBytes
        if let problem = metricsLog.withLock({ $0 })?.counts.problem {
            status.warnings.append("the metrics log cannot be written: \(problem)")
        }
        status.warnings += tenants.withLock { $0 }?.metrics.problems ?? []
        guard let store = door.store else { return status }
        if let warning = store.space.warning { status.warnings.append(warning) }
        let terms = store.ledgerTerms
        status.segmentCount = terms.segmentCount
        status.segmentBytes = terms.segmentBytes
        status.headSpanCount = Int(clamping: terms.headSpans)
        status.headBytes = terms.headBytes
        status.walBytes = terms.walBytes
        status.snapshotHeldBytes = store.space.snapshotBytes
        status.classes = store.classes.map {
            ClassFacts(name: $0.retentionClass.name, segments: $0.segments, spans: $0.spans, bytes: $0.bytes)
        }
        status.pinnedTraceCount = door.pins(tenant: BatchOrigin.defaultTenant).count
        switch store.state {
        case .ok, .closed: break
        case .degraded(let problem): status.warnings.append(problem)
        case .readOnly(let reason): status.warnings.append("read-only: \(reason)")
        }
        return status
    }
}

extension StoreCounts {
    /// The receiving side starts with what was stored before, so nothing is `storedBefore`.
    fileprivate init(_ terms: LedgerTerms) {
        self.init()
        stored = terms.stored
        live = terms.live
        expired = terms.expired
        thinned = terms.thinned
        deleted = terms.deleted
        merged = terms.merged
        quarantined = terms.quarantined
        lost = terms.lost
    }
}
