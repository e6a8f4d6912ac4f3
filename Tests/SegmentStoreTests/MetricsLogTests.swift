internal import Bytes
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import Testing

/// A source whose state is one number: records add to it, a checkpoint sets it.
private final class CountingSource: MetricsLogSource {
    struct State {
        var waiting: [UInt8] = []
        var taken: [UInt8] = []
        var shown = 0
    }
    let state = Mutex(State())

    var shown: Int { state.withLock { $0.shown } }
    func receive(_ amount: UInt8) { state.withLock { $0.waiting.append(amount) } }

    func holdForLog() {}

    func takeClosed() -> MetricsLogBatch {
        state.withLock { state in
            defer { state.waiting = [] }
            state.taken += state.waiting
            let records = state.waiting.map { MetricsLogRecord(kind: .second, body: [$0]) }
            return MetricsLogBatch(records: records, lines: UInt64(state.waiting.count))
        }
    }

    func settle() {
        state.withLock { state in
            state.shown += state.taken.reduce(0) { $0 + Int($1) }
            state.taken = []
        }
    }

    func forEachStateRecord(_ body: (MetricsLogRecord) -> Bool) {
        let text = "\(shown)"
        _ = body(MetricsLogRecord(kind: .state, body: Array(text.utf8)))
    }

    func restore(_ record: MetricsLogRecord) -> Bool {
        state.withLock { state in
            switch record.kind {
            case .second: state.shown += Int(record.body.first ?? 0)
            case .state: state.shown = Int(String(decoding: record.body, as: UTF8.self)) ?? 0
            default: break
            }
        }
        return true
    }
}

struct MetricsLogTests {
    private func settings(_ durability: Durability = .synced) -> StoreConfiguration {
        var settings = StoreConfiguration(wallClock: { 1_000_000_000_000 })
        settings.runsThreads = false
        settings.durability = durability
        let numbers = Counter()
        settings.random = { numbers.next() }
        return settings
    }

    private final class Counter: Sendable {
        private let value = Mutex<UInt64>(41)
        func next() -> UInt64 {
            value.withLock { value in
                value += 1
                return value
            }
        }
    }

    /// Opens, takes `steps` amounts, and says what was received and shown; all that the disk let happen.
    private func work(_ disk: SimulatedDisk, steps: Int) -> (received: Int, shown: Int) {
        let source = CountingSource()
        guard let log = try? MetricsLog.open(disk, source: source, tally: LineTally(), configuration: settings()) else {
            return (0, 0)
        }
        var received = 0
        var shown = source.shown
        for step in 1...steps {
            source.receive(UInt8(step))
            received += step
            log.step()
            // What is shown although the log is broken is not promised.
            if log.counts.errors == 0 { shown = source.shown }
        }
        return (received, shown)
    }

    @Test func whatWasShownIsThereAfterEveryCrash() throws {
        let whole = SimulatedDisk()
        _ = work(whole, steps: 8)
        for call in 1...whole.callCount + 1 {
            let disk = SimulatedDisk()
            disk.change { $0.crashAt = call }
            let before = work(disk, steps: 8)
            for kind: SimulatedDisk.Crash in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] {
                let next = disk.crash(kind)
                let source = CountingSource()
                let log = try MetricsLog.open(next, source: source, tally: LineTally(), configuration: settings())
                let context = "call \(call), \(kind): \(before), found \(source.shown), \(log.recovery)"
                #expect(source.shown >= before.shown && source.shown <= before.received, "\(context)")
                #expect(log.recovery.problems.isEmpty, "\(context)")
                // A second start finds the same, and one file.
                let found = source.shown
                #expect(next.paths.filter { $0.hasSuffix(".mlog") }.count == 1, "\(context): \(next.paths)")
                let again = CountingSource()
                _ = try MetricsLog.open(
                    next.crash(.powerLoss), source: again, tally: LineTally(), configuration: settings())
                #expect(again.shown == found, "\(context)")
            }
        }
    }

    @Test func aFullDiskBlocksNothingAndTheNextCheckpointHasAll() throws {
        let disk = SimulatedDisk()
        let ticking = Ticking()
        var settings = settings()
        settings.wallClock = { ticking.now }
        let source = CountingSource()
        let log = try MetricsLog.open(disk, source: source, tally: LineTally(), configuration: settings)
        disk.change { $0.failing = [.append: 28] }
        for _ in 0..<5 {
            source.receive(7)
            log.step()
            ticking.advance(seconds: 40)
        }
        #expect(source.shown == 35)
        #expect(log.counts.errors == 5)
        #expect(log.counts.problem != nil)
        disk.change { $0.failing = [:] }
        log.step()
        #expect(log.counts.problem == nil)
        #expect(log.close())
        let again = CountingSource()
        _ = try MetricsLog.open(disk.crash(.powerLoss), source: again, tally: LineTally(), configuration: settings)
        #expect(again.shown == 35)
    }

    private final class Ticking: Sendable {
        private let time = Mutex<UInt64>(1_000_000_000_000)
        var now: UInt64 { time.withLock { $0 } }
        func advance(seconds: UInt64) { time.withLock { $0 += seconds * 1_000_000_000 } }
    }

    @Test func everyFlippedByteIsFoundAndNothingBeforeItIsLost() throws {
        let disk = SimulatedDisk()
        _ = work(disk, steps: 3)
        let path = try #require(disk.paths.first { $0.hasSuffix(".mlog") })
        let bytes = try #require(disk.bytes(of: path))
        for offset in bytes.indices {
            let next = disk.crash(.kill)
            var damaged = bytes
            damaged[offset] ^= 0x10
            next.set(path, to: damaged)
            let source = CountingSource()
            let log = try MetricsLog.open(next, source: source, tally: LineTally(), configuration: settings())
            let isPadding = log.recovery.problems.isEmpty && source.shown == 6
            let isTail = log.recovery.problems.isEmpty && source.shown == 3
            #expect(
                isPadding || isTail || !log.recovery.problems.isEmpty, "byte \(offset): \(source.shown) \(log.recovery)"
            )
            #expect([0, 1, 3, 6].contains(source.shown), "byte \(offset)")
        }
    }

    /// Files as the versions before removed series, and before cumulative streams, wrote them are read; one that needs what this version does not know is
    /// kept aside.
    @Test func filesOfOtherVersions() throws {
        let disk = SimulatedDisk()
        _ = work(disk, steps: 3)
        let path = try #require(disk.paths.first { $0.hasSuffix(".mlog") })
        let bytes = try #require(disk.bytes(of: path))
        #expect(Array(bytes[8..<16]) == [1, 0, 2, 0, 0, 0, 3, 0])
        for (fields, isRead) in [
            ([UInt8](arrayLiteral: 1, 0, 0, 0, 0, 0, 0, 0), true), ([1, 0, 1, 0, 0, 0, 1, 0], true),
            ([1, 0, 3, 0, 0, 0, 7, 0], false),
        ] {
            var other = bytes
            other.replaceSubrange(8..<16, with: fields)
            let checksum = crc32c(Array(other[..<60]))
            for byte in 0..<4 { other[60 + byte] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * byte)) }
            let next = disk.crash(.kill)
            next.set(path, to: other)
            let source = CountingSource()
            let log = try MetricsLog.open(next, source: source, tally: LineTally(), configuration: settings())
            #expect(source.shown == (isRead ? 6 : 0))
            #expect(log.recovery.problems.isEmpty == isRead)
        }
    }

    @Test func linesTakenAndNotLoggedAreLostAtTheCrash() throws {
        let disk = SimulatedDisk()
        let page = UnsafeMutableRawPointer.allocate(byteCount: LineTally.byteCount, alignment: 64)
        defer { page.deallocate() }
        page.initializeMemory(as: UInt8.self, repeating: 0, count: LineTally.byteCount)
        var lives = settings()
        let numbers = Counter()
        lives.random = { numbers.next() }
        for life in 1...3 {
            let source = CountingSource()
            let tally = LineTally(page: page) { _ in }
            let log = try MetricsLog.open(disk.crash(.kill), source: source, tally: tally, configuration: lives)
            #expect(log.counts.lostLines == 0, "another disk knows nothing of life \(life)")
        }
        let source = CountingSource()
        let tally = LineTally(page: page) { _ in }
        let log = try MetricsLog.open(disk, source: source, tally: tally, configuration: lives)
        let slot = tally.makeSlot()
        slot.pointee = 5
        for _ in 0..<3 { source.receive(1) }
        log.step()
        let next = try MetricsLog.open(
            disk.crash(.kill), source: CountingSource(), tally: LineTally(page: page) { _ in }, configuration: lives)
        #expect(next.recovery.lostLines == 2)
        #expect(next.counts.lostLines == 2)
    }

    @Test func memoryModeReadsAndWritesNothing() throws {
        let disk = SimulatedDisk()
        _ = work(disk, steps: 3)
        let next = disk.crash(.kill)
        let source = CountingSource()
        let log = try MetricsLog.open(next, source: source, tally: LineTally(), configuration: settings(.memory))
        #expect(source.shown == 6)
        #expect(next.count(of: .append) == 0)
        #expect(log.close())
    }
}
