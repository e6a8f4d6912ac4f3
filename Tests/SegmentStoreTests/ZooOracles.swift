internal import SegmentStore
internal import Telemetry
internal import TestKit

/// What a correct store keeps to. Each oracle says what broke, or nil.
enum ZooOracle: String, CaseIterable {
    case crash = "acknowledged spans survive a stop at any disk call"
    case failure = "acknowledged spans survive an error of any disk call"
    case progress = "a head gets sealed and its log unlinked"
    case retention = "what expires goes for good, alone, and is counted"
    case clock = "a step of the clock across a restart removes nothing"
    case resume = "a full disk with room again is used again"
    case lock = "a directory has one owner"
    case quarantine = "damaged originals are kept"
    case classes = "what is worth more is kept longer, pins for good, and thinning is counted"
    case snapshot = "a snapshot that was answered is whole after a power loss"

    func examine(_ rules: FaultyDisk.Rules) -> String? {
        do {
            switch self {
            case .crash: return try crash(rules)
            case .failure: return try failure(rules)
            case .progress: return try progress(rules)
            case .retention: return try retention(rules)
            case .clock: return try clock(rules)
            case .resume: return try resume(rules)
            case .lock: return try lock(rules)
            case .quarantine: return try quarantine(rules)
            case .classes: return try classes(rules)
            case .snapshot: return try snapshot(rules)
            }
        } catch { return "\(error)" }
    }

    private func fixture(
        _ rules: FaultyDisk.Rules, _ change: @escaping (inout StoreConfiguration) -> Void = { _ in }
    ) -> StoreFixture {
        let fixture = StoreFixture(change)
        fixture.rules = rules
        return fixture
    }

    private func kinds(_ call: Int) -> [SimulatedDisk.Crash] {
        [.powerLoss, .kill, .tornPowerLoss(seed: UInt64(call)), .tornPowerLoss(seed: UInt64(call) + 1_000)]
    }

    /// Two starts, seals between commits.
    private func work(_ fixture: StoreFixture) {
        var spans = SpanGenerator(seed: 11)
        for _ in 0..<2 {
            guard let store = try? fixture.open() else { return }
            for step in 0..<4 {
                fixture.commit([spans.batch(6, arrival: fixture.clock.now), spans.batch(2)])
                if step == 0 { store.witnessStep() }
                if step % 2 == 1 { store.sealNow() }
                fixture.clock.advance(seconds: 2)
            }
            fixture.commit([spans.batch(3)])
            _ = store.close(sealing: false)
        }
    }

    /// What must hold after a restart that nothing but a stop went before.
    private func defect(_ fixture: StoreFixture) throws -> String? {
        let store = try fixture.open()
        let terms = store.ledgerTerms
        let missing = try fixture.missing().count
        if missing > 0 { return "\(missing) acknowledged spans are missing" }
        if !terms.balanced || terms.lost > 0 { return "the ledger: \(terms.lost) lost, balanced \(terms.balanced)" }
        if store.state != .ok { return "\(store.state)" }
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant).count
        return UInt64(found) == terms.live ? nil : "\(found) spans found, \(terms.live) counted as live"
    }

    private func crash(_ rules: FaultyDisk.Rules) throws -> String? {
        let whole = fixture(rules)
        work(whole)
        for call in 1...whole.disk.callCount + 1 {
            let stopped = fixture(rules)
            stopped.disk.change { $0.crashAt = call }
            work(stopped)
            let disk = stopped.disk
            for kind in kinds(call) {
                stopped.disk = disk.crash(kind)
                do {
                    if let defect = try defect(stopped) { return "call \(call), \(kind): \(defect)" }
                } catch { return "call \(call), \(kind): \(error)" }
            }
        }
        return nil
    }

    private func failure(_ rules: FaultyDisk.Rules) throws -> String? {
        let whole = fixture(rules)
        work(whole)
        for call in 1...whole.disk.callCount {
            let failed = fixture(rules)
            failed.disk.change { $0.failures = [call: 28] }
            work(failed)
            failed.disk = failed.disk.crash(.powerLoss)
            if let defect = try defect(failed) { return "errno 28 at call \(call): \(defect)" }
        }
        return nil
    }

    private func progress(_ rules: FaultyDisk.Rules) throws -> String? {
        let fixture = fixture(rules)
        var spans = SpanGenerator(seed: 12)
        let store = try fixture.open()
        for _ in 0..<3 {
            fixture.commit([spans.batch(5)])
            store.sealNow()
        }
        if store.ledgerTerms.headSpans > 0 { return "\(store.ledgerTerms.headSpans) spans stay in memory" }
        let logs = fixture.disk.paths.filter { $0.hasPrefix("wal/") }.count
        return logs > 1 ? "\(logs) files of the log stay" : nil
    }

    /// The first segment expires, the second does not; stopped at any call.
    private func retention(_ rules: FaultyDisk.Rules) throws -> String? {
        func run(crashAt: Int?) throws -> StoreFixture {
            let fixture = fixture(rules) { $0.retention = RetentionPolicy(age: 1_800 * 1_000_000_000, bytes: .max) }
            var spans = SpanGenerator(seed: 13)
            let store = try fixture.open()
            store.applyRetention(now: fixture.clock.now)
            fixture.commit([spans.batch(5, arrival: fixture.clock.now)])
            store.sealNow()
            fixture.acknowledged = [:]
            fixture.clock.advance(seconds: 1_900)
            fixture.commit([spans.batch(7, arrival: fixture.clock.now)])
            store.sealNow()
            if let crashAt { fixture.disk.change { [count = fixture.disk.callCount] in $0.crashAt = count + crashAt } }
            store.applyRetention(now: fixture.clock.now)
            return fixture
        }
        let whole = try run(crashAt: nil)
        let segments = whole.disk.paths.filter { $0.hasPrefix("segments/") }.count
        if segments != 1 { return "\(segments) segment files after retention, not 1" }
        for call in 1...16 {
            for kind in kinds(call) {
                let stopped = try run(crashAt: call)
                stopped.disk = stopped.disk.crash(kind)
                if let defect = try defect(stopped) { return "call \(call), \(kind): \(defect)" }
                let terms = stopped.store?.ledgerTerms ?? LedgerTerms()
                guard terms.stored == 12, terms.live + terms.expired == 12 else {
                    return "call \(call), \(kind): \(terms.stored) stored, \(terms.live) live, \(terms.expired) expired"
                }
            }
        }
        return nil
    }

    private func clock(_ rules: FaultyDisk.Rules) throws -> String? {
        let fixture = fixture(rules) { $0.retention = RetentionPolicy(age: 86_400 * 1_000_000_000, bytes: .max) }
        var spans = SpanGenerator(seed: 14)
        let store = try fixture.open()
        store.applyRetention(now: fixture.clock.now)
        fixture.commit([spans.batch(5, arrival: fixture.clock.now)])
        _ = store.close()
        let again = try fixture.open()
        again.applyRetention(now: fixture.clock.now + 400 * 86_400 * 1_000_000_000)
        return again.ledgerTerms.expired > 0 ? "a step of 400 days removed \(again.ledgerTerms.expired) spans" : nil
    }

    private func resume(_ rules: FaultyDisk.Rules) throws -> String? {
        let fixture = fixture(rules) { $0.reservedBytes = 1_000 }
        let store = try fixture.open()
        let used = 1 << 40 - (try fixture.disk.space().freeBytes)
        fixture.disk.change { $0.capacity = used + 500 }
        store.idleStep()
        guard case .readOnly = store.state else { return "takes spans on a full disk" }
        fixture.disk.change { $0.capacity = 1 << 40 }
        store.idleStep()
        return store.state == .ok ? nil : "\(store.state)"
    }

    private func lock(_ rules: FaultyDisk.Rules) throws -> String? {
        let fixture = fixture(rules)
        let first = try fixture.open()
        let second = try? fixture.open()
        return first.state == .ok && second != nil ? "two stores own the directory" : nil
    }

    private func quarantine(_ rules: FaultyDisk.Rules) throws -> String? {
        for folder in ["segments/", "wal/"] {
            let before = fixture(rules)
            var spans = SpanGenerator(seed: 15)
            let store = try before.open()
            before.commit([spans.batch(9)])
            if folder == "segments/" { store.sealNow() }
            before.commit([spans.batch(9)])
            before.commit([spans.batch(9)])
            before.disk = before.disk.crash(.kill)
            guard let path = before.disk.paths.first(where: { $0.hasPrefix(folder) }),
                var bytes = before.disk.bytes(of: path)
            else { return "no file in \(folder)" }
            bytes[folder == "wal/" ? 400 : bytes.count - 5] ^= 1
            before.disk.set(path, to: bytes)
            let again = try before.open()
            guard case .degraded = again.state else { return "damage in \(path) is not told" }
            let kept = "quarantine/" + (path.split(separator: "/").last ?? "")
            if before.disk.bytes(of: kept) != bytes { return "\(path) is not kept" }
        }
        return nil
    }

    /// Work with pins, classes and thinning; a power loss; more time than ordinary traces have.
    private func classes(_ rules: FaultyDisk.Rules) throws -> String? {
        for seed in 1...2 as ClosedRange<UInt64> {
            let model = ClassModel(seed: seed, ordinaryBytes: 6_000, rules: rules)
            ClassCrashTests.work(model)
            guard let store = model.fixture.store else { return "does not open" }
            if let defect = try model.defect() ?? model.fileDefect() { return "seed \(seed): \(defect)" }
            let kinds = Set(store.classes.map(\.retentionClass))
            if !kinds.isSuperset(of: [.error, .pinned]) { return "seed \(seed): nothing is sorted: \(kinds)" }
            let before = store.ledgerTerms
            model.fixture.disk = model.fixture.disk.crash(.powerLoss)
            let again = try model.fixture.open()
            if let defect = model.defect() { return "seed \(seed), after a power loss: \(defect)" }
            let after = again.ledgerTerms
            if after.thinned != before.thinned { return "\(before.thinned) thinned spans became \(after.thinned)" }
            for _ in 0..<3 {
                model.fixture.clock.advance(seconds: 500)
                again.applyRetention(now: model.fixture.clock.now)
                model.compact()
            }
            if let defect = model.defect() { return "seed \(seed), later: \(defect)" }
        }
        return nil
    }

    private func snapshot(_ rules: FaultyDisk.Rules) throws -> String? {
        let fixture = fixture(rules)
        var spans = SpanGenerator(seed: 16)
        let store = try fixture.open()
        fixture.commit([spans.batch(9)])
        store.sealNow()
        fixture.commit([spans.batch(9)])
        let made = try store.snapshot()
        for kind in kinds(7) + kinds(9) {
            let disk = fixture.disk.crash(kind)
            let copy = StoreFixture()
            copy.acknowledged = fixture.acknowledged
            _ = try SnapshotRestore(from: SnapshotTests.folder(made.id, of: disk), to: copy.disk).run()
            if let defect = try defect(copy) { return "\(kind): \(defect)" }
        }
        return nil
    }
}
