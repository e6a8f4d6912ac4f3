internal import SegmentStore
internal import Telemetry
internal import TestKit
internal import Testing

/// Damage in random places, a salvage, and the comparison with what was there: everything outside of the damaged
/// groups and blocks is in the new directory, and what is not is told exactly.
struct SalvageTests {
    /// Segments of several blocks, a WAL with four groups, and which spans are in which sequence.
    struct Scene {
        var disk: SimulatedDisk
        let fixture: StoreFixture
        var all: [SpanRecord]
        /// By sequence.
        var batches: [UInt64: [SpanRecord]] = [:]
        var sealed: UInt64 = 0
    }

    static func scene(seed: UInt64, segments: Int = 3, groups: Int = 4) throws -> Scene {
        let fixture = StoreFixture {
            $0.headBytes = 1 << 30
            $0.compaction.isOn = false
        }
        var spans = SpanGenerator(seed: seed)
        spans.traceCount = 0
        let store = try fixture.open()
        var batches: [UInt64: [SpanRecord]] = [:]
        var sequence: UInt64 = 0
        func commit(_ list: [SpanBatch]) {
            fixture.commit(list)
            for batch in list {
                sequence += 1
                batches[sequence] = batch.spans.indices.map { batch.record($0) }
            }
        }
        for _ in 0..<segments {
            commit([spans.batch(40, arrival: 5)])
            store.sealNow()
        }
        let sealed = sequence
        for step in 0..<groups {
            commit((0...step % 3).map { _ in spans.batch(3, arrival: 6) })
            store.witnessStep()
        }
        return Scene(
            disk: fixture.disk.crash(.kill), fixture: fixture,
            all: fixture.acknowledged[BatchOrigin.defaultTenant] ?? [], batches: batches, sealed: sealed)
    }

    /// Segments with small blocks in place of the scene's, as a compaction would have left them.
    static func withSmallBlocks(_ scene: Scene) throws -> Scene {
        var scene = scene
        let fixture = StoreFixture(disk: scene.disk) {
            $0.headBytes = 1 << 30
            $0.compaction.blockSpans = 16
            $0.compaction.fanIn = 2
        }
        let store = try fixture.open()
        while store.compactStep() {}
        scene.disk = fixture.disk.crash(.kill)
        return scene
    }

    static func salvage(
        _ disk: SimulatedDisk, _ scene: Scene
    ) throws -> (report: SalvageReport, target: SimulatedDisk, found: [SpanRecord]) {
        let before = disk.paths.map { ($0, disk.bytes(of: $0) ?? []) }
        var trial = StoreSalvage(from: disk, to: nil, configuration: scene.fixture.configuration)
        let dry = try trial.run()
        let target = SimulatedDisk()
        var salvage = StoreSalvage(from: disk, to: target, configuration: scene.fixture.configuration)
        let report = try salvage.run()
        #expect(dry.losses == report.losses && dry.notes == report.notes && dry.manifest == report.manifest)
        #expect(disk.paths == before.map(\.0), "the source has other files")
        for (path, bytes) in before { #expect(disk.bytes(of: path) == bytes, "\(path) was changed") }

        let crashed = target.crash(.powerLoss)
        #expect(try StoreVerification(crashed).findings.isEmpty)
        let store = try SegmentStore.open(crashed, configuration: scene.fixture.configuration)
        #expect(store.state == .ok, "\(store.state)")
        let terms = store.ledgerTerms
        #expect(terms.balanced, "\(terms)")
        #expect(terms.lost == report.lostSpans, "\(terms) \(report.losses)")
        let found = try StoreFixture.spans(of: store, tenant: BatchOrigin.defaultTenant)
        #expect(UInt64(found.count) == terms.live)
        #expect(Set(found).isSubset(of: Set(scene.all)))
        return (report, target, found)
    }

    @Test func aWholeDirectoryComesOutWhole() throws {
        let scene = try Self.scene(seed: 3)
        let (report, _, found) = try Self.salvage(scene.disk, scene)
        #expect(report.isComplete && report.notes.isEmpty, "\(report.losses) \(report.notes)")
        #expect(Set(found) == Set(scene.all) && found.count == scene.all.count)
        #expect(report.wholeSegments == 3 && report.rewrittenSegments == 0 && report.walSpans == 21)
    }

    @Test(arguments: ["META", "MANIFEST"])
    func aLostOrDamagedTopFileCostsNothing(path: String) throws {
        let scene = try Self.scene(seed: 4)
        for isErased in [true, false] {
            let disk = scene.disk.crash(.kill)
            if isErased { disk.erase(path) } else { disk.set(path, to: [1, 2, 3]) }
            let (report, _, found) = try Self.salvage(disk, scene)
            #expect(report.isComplete, "\(report.losses)")
            #expect(report.notes.map(\.file) == [path])
            #expect(Set(found) == Set(scene.all))
        }
        let disk = scene.disk.crash(.kill)
        disk.erase("META")
        disk.erase("MANIFEST")
        #expect(try Self.salvage(disk, scene).report.isComplete)
    }

    @Test func aDamagedBlockIsTheOnlyLoss() throws {
        let scene = try Self.withSmallBlocks(Self.scene(seed: 5))
        let path = try #require(scene.disk.paths.first { $0.hasPrefix("segments/") })
        let whole = try #require(scene.disk.bytes(of: path))
        for offset in stride(from: 64, to: whole.count - 32, by: 211) {
            var bytes = whole
            bytes[offset] ^= 0x20
            let disk = scene.disk.crash(.kill)
            disk.set(path, to: bytes)
            let (report, _, found) = try Self.salvage(disk, scene)
            #expect(report.losses.count + report.notes.count == 1, "byte \(offset): \(report.losses) \(report.notes)")
            guard let loss = report.losses.first, loss.block != nil else { continue }
            #expect(loss.file == path && loss.bytes?.contains(UInt64(offset)) == true, "byte \(offset): \(loss)")
            #expect(loss.spans == UInt64(scene.all.count - found.count) && report.rewrittenSegments == 1)
            let gone = Set(scene.all).subtracting(found).map(\.start)
            #expect(loss.times == gone.min().flatMap { low in gone.max().map { low...$0 } }, "byte \(offset)")
        }
    }

    /// Header, footer and trailer are not stored twice: a flipped bit in them is found by the checksum.
    @Test func aFlippedBitAtTheEndsCostsNothing() throws {
        let scene = try Self.withSmallBlocks(Self.scene(seed: 12))
        let path = try #require(scene.disk.paths.first { $0.hasPrefix("segments/") })
        let whole = try #require(scene.disk.bytes(of: path))
        let footer = SegmentSalvageTests.footer(of: whole).lowerBound
        for offset in [Int](0..<64) + [Int](footer..<whole.count) {
            var bytes = whole
            bytes[offset] ^= 1 << UInt8(offset % 8)
            let disk = scene.disk.crash(.kill)
            disk.set(path, to: bytes)
            if offset % 7 == 0 { disk.erase("MANIFEST") }
            var salvage = StoreSalvage(from: disk, to: nil, configuration: scene.fixture.configuration)
            let report = try salvage.run()
            #expect(report.isComplete && report.lostSpans == 0, "byte \(offset): \(report.losses)")
            #expect(report.manifest.liveSpans == UInt64(scene.all.count), "byte \(offset)")
            let said = report.notes.filter { $0.file == path }.compactMap(\.bytes)
            #expect(said == [UInt64(offset)..<UInt64(offset) + 1], "byte \(offset): \(report.notes)")
        }
        let disk = scene.disk.crash(.kill)
        var bytes = whole
        bytes[footer + 1] ^= 4
        disk.set(path, to: bytes)
        let (_, target, found) = try Self.salvage(disk, scene)
        #expect(found.count == scene.all.count && target.paths.contains(path))
    }

    @Test func aSegmentWithoutAFooterIsCounted() throws {
        let scene = try Self.scene(seed: 6)
        let paths = scene.disk.paths.filter { $0.hasPrefix("segments/") }
        for path in paths {
            for isManifestLost in [false, true] {
                let disk = scene.disk.crash(.kill)
                disk.set(path, to: Array((disk.bytes(of: path) ?? []).dropLast(3)))
                if isManifestLost { disk.erase("MANIFEST") }
                let (report, _, found) = try Self.salvage(disk, scene)
                #expect(report.losses.map(\.file) == [path], "\(report.losses)")
                #expect(report.losses.first?.spans == 40 && report.lostSpans == 40, "\(report.losses)")
                #expect(found.count == scene.all.count - 40)
            }
        }
    }

    @Test func whatAStartSetAsideIsTakenBack() throws {
        let scene = try Self.withSmallBlocks(Self.scene(seed: 7))
        let path = try #require(scene.disk.paths.first { $0.hasPrefix("segments/") })
        var bytes = try #require(scene.disk.bytes(of: path))
        let disk = scene.disk.crash(.kill)
        let first = bytes[0]
        bytes[0] ^= 1
        disk.set(path, to: bytes)
        let store = try SegmentStore.open(disk, configuration: scene.fixture.configuration)
        let quarantined = store.ledgerTerms.quarantined
        #expect(quarantined > 0)
        store.close()
        // The owner made the first byte right by hand; the rest of the file is damaged in one block.
        let kept = disk.crash(.kill)
        bytes[0] = first
        bytes[80] ^= 1
        let name = try #require(path.split(separator: "/").last.map(String.init))
        kept.set("quarantine/\(name)", to: bytes)
        let (report, _, found) = try Self.salvage(kept, scene)
        #expect(report.losses.count == 1 && report.losses[0].block == 0, "\(report.losses)")
        #expect(UInt64(scene.all.count - found.count) == report.losses[0].spans)
    }

    /// A few damages of any kind in any place; the model knows which groups and blocks they hit.
    @Test(arguments: UInt64(1)...24)
    func randomDamage(seed: UInt64) throws {
        let scene = try Self.withSmallBlocks(Self.scene(seed: seed, segments: 4, groups: 6))
        var random = SeededRandom(seed: seed &* 77)
        for round in 0..<4 {
            let disk = scene.disk.crash(.kill)
            for _ in 0...random.below(3) {
                let paths = disk.paths.filter { $0.hasPrefix("segments/") || $0.hasPrefix("wal/") }
                let path = random.pick(paths)
                var bytes = disk.bytes(of: path) ?? []
                let isWAL = path.hasPrefix("wal/")
                let low = isWAL ? 128 : 64
                guard bytes.count > low + 40 else { continue }
                // The witness at the end of the log stays: without it the last group is ambiguous.
                let high = isWAL ? bytes.count - 72 : bytes.count
                let start = low + random.below(high - low)
                for index in start..<min(high, start + 1 + random.below(60)) { bytes[index] = UInt8(random.below(256)) }
                disk.set(path, to: bytes)
            }
            if random.oneIn(4) { disk.erase(random.pick(["META", "MANIFEST"])) }
            let (report, _, found) = try Self.salvage(disk, scene)
            let lost = report.losses.reduce(0) { $0 + ($1.spans ?? 0) }
            #expect(UInt64(scene.all.count - found.count) == lost, "seed \(seed) round \(round): \(report.losses)")
            #expect(report.losses.allSatisfy { $0.spans != nil && $0.file != nil })
            let gone = Set(scene.all).subtracting(found)
            for loss in report.losses where loss.file?.hasPrefix("wal/") == true {
                let range = try #require(loss.sequences)
                let inside = scene.batches.filter { range.contains($0.key) }.flatMap(\.value)
                #expect(UInt64(inside.filter { gone.contains($0) }.count) == loss.spans, "seed \(seed): \(loss)")
            }
            for loss in report.losses where loss.block != nil {
                let times = try #require(loss.times)
                #expect(
                    gone.contains { times.lowerBound == $0.start } && gone.contains { times.upperBound == $0.start })
            }
        }
    }

    @Test func unreadableSectorsCostWhatIsInThem() throws {
        let scene = try Self.scene(seed: 9)
        let disk = scene.disk.crash(.kill)
        let path = try #require(disk.paths.first { $0.hasPrefix("segments/") })
        var rules = FaultyDisk.Rules()
        rules.failsRead = { $0 == path && $1.contains(200) }
        let door = FaultyDisk(disk, rules)
        var salvage = StoreSalvage(from: door, to: SimulatedDisk(), configuration: scene.fixture.configuration)
        let report = try salvage.run()
        #expect(report.lostSpans == 40 && report.notes.contains { $0.file == path && $0.reason.contains("EIO") })
    }

    @Test func aFullTargetLeavesNothing() throws {
        let scene = try Self.scene(seed: 10)
        let target = SimulatedDisk()
        target.change { $0.capacity = 6_000 }
        var salvage = StoreSalvage(from: scene.disk, to: target, configuration: scene.fixture.configuration)
        #expect(throws: SalvageError.self) { try salvage.run() }
        #expect(target.paths.isEmpty, "\(target.paths)")
        var other = StoreSalvage(from: scene.disk, to: scene.disk, configuration: scene.fixture.configuration)
        #expect(throws: SalvageError.notEmpty) { try other.run() }
        var nothing = StoreSalvage(from: SimulatedDisk(), to: nil, configuration: scene.fixture.configuration)
        #expect(throws: SalvageError.nothingFound) { try nothing.run() }
    }
}
