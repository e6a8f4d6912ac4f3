internal import Endpoints
internal import HostIO
internal import MetricsEngine
internal import SegmentStore
internal import Synchronization
internal import Telemetry

/// Makes the metrics of a tenant in its folder, or finds them there.
final class TenantMaker: Sendable {
    private let configuration: Mutex<Configuration>
    private let disk: HostDisk
    private let settings: StoreConfiguration
    private let main: MetricsService
    private let problems = Mutex<[String]>([])
    private let isLogged: Bool

    init(_ configuration: Configuration, _ disk: HostDisk, _ settings: StoreConfiguration, beside main: MetricsService)
    {
        self.configuration = Mutex(configuration)
        self.disk = disk
        var settings = settings
        // Two threads step all of them.
        settings.runsThreads = false
        self.settings = settings
        self.main = main
        isLogged = configuration.durability != .memory
    }

    func apply(_ configuration: Configuration) { self.configuration.withLock { $0 = configuration } }

    func takeProblems() -> [String] {
        problems.withLock { problems in
            defer { problems = [] }
            return problems
        }
    }

    /// Tenants with a folder.
    func names() throws(DiskError) -> [String] {
        do {
            return try disk.list(StorePath.tenantsDirectory).filter { entry in
                !entry.isRegularFile && TokenFile.isTenant(entry.name) && entry.name != BatchOrigin.defaultTenant
            }.map(\.name)
        } catch {
            guard error.isMissing else { throw error }
            return []
        }
    }

    func blank() -> MetricTenant {
        let configuration = configuration.withLock { $0 }
        let isRecorded = configuration.recorderAge != 0
        let service = main.beside(
            "", engine: configuration.metricLimits.ofTenant.tenantEngine(LineTally()),
            recorder: isRecorded ? NoRecordedSegments() : nil, spanSeries: 0)
        return MetricTenant(service, isRecorded: isRecorded)
    }

    func make(_ tenant: String) -> Result<MetricTenant, MetricTenantRefusal> {
        do { return .success(try makeOnDisk(tenant)) } catch {
            settings.log(.error, "the metrics of tenant \(tenant) cannot be made: \(error)")
            return .failure(.failed("\(error)"))
        }
    }

    private func makeOnDisk(_ tenant: String) throws(DiskError) -> MetricTenant {
        let configuration = configuration.withLock { $0 }
        let limits = configuration.metricLimits.ofTenant
        let folder = try folder(of: tenant)
        var settings = settings
        settings.log = { [log = settings.log] in log($0, "tenant \(tenant): \($1)") }
        let tally = isLogged ? folder.mapTally() ?? LineTally() : LineTally()
        let engine = limits.tenantEngine(tally)
        var recorder: MetricsRecorder?
        if configuration.recorderAge != 0 {
            recorder = try MetricsRecorder.open(
                folder, source: engine, retention: RecorderRetention(ofTenant: configuration), configuration: settings)
        }
        let service = main.beside(tenant, engine: engine, recorder: recorder, spanSeries: limits.spanSeries)
        let log = try MetricsLog.open(
            folder, source: service, tally: tally, configuration: settings, recorder: recorder)
        main.noteLinesLost(log.counts.lostLines)
        let found = (recorder?.problems ?? []) + log.recovery.problems
        problems.withLock { $0 += found.map { "tenant \(tenant): \($0)" } }
        return MetricTenant(
            service, isRecorded: recorder != nil, keeper: TenantKeeper(log: isLogged ? log : nil, recorder: recorder))
    }

    /// A data directory of its own; its name is on the disk before anything is in it.
    private func folder(of tenant: String) throws(DiskError) -> HostDisk {
        let path = StorePath.tenant(tenant)
        try disk.makeDirectory(StorePath.tenantsDirectory)
        try disk.syncDirectory("")
        try disk.makeDirectory(path)
        try disk.syncDirectory(StorePath.tenantsDirectory)
        return try HostDisk(existing: "\(disk.location)/\(path)")
    }
}

/// A tenant's metrics log and recorder.
struct TenantKeeper: MetricKeeper {
    /// Nil when nothing is logged.
    let log: MetricsLog?
    let recorder: MetricsRecorder?

    func stepLog() { log?.step() }
    func stepRecorder() { recorder?.step() }
    func setRetention(_ retention: RecorderRetention) { recorder?.setRetention(retention) }

    func close() -> Bool {
        let isLogSafe = log?.close() ?? true
        let isRecorded = recorder?.close() ?? true
        return isLogSafe && isRecorded
    }

    var counts: MetricKeeperCounts {
        var counts = MetricKeeperCounts()
        if let log = log?.counts {
            counts.logBytes = log.bytes
            counts.errors = log.errors
            counts.problem = log.problem
        }
        if let recorder = recorder?.counts {
            counts.recorderBytes = recorder.bytes
            counts.errors += recorder.errors
            counts.problem = counts.problem ?? recorder.problem
        }
        return counts
    }
}

extension RecorderRetention {
    /// As long as the default tenant's, in a tenth of its bytes.
    init(ofTenant configuration: Configuration) {
        self.init(age: configuration.recorderAge, bytes: configuration.recorderBytes / 10)
    }
}
