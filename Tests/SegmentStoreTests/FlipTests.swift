internal import Foundation
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import Testing

/// Every bit of a WAL, of segments and of manifests flipped, 32 KiB of each (256 KiB with `CREST_FULL=1`): all of them
/// noticed, nothing outside of the damaged group or block lost, the lost range told exactly, and a damaged last group
/// without a later witness told as ambiguous. Prints the counts.
struct FlipTests {
    private static let budget = ProcessInfo.processInfo.environment["CREST_FULL"] == "1" ? 256 << 10 : 32 << 10

    /// A file in memory whose bytes change under the reader.
    private final class ChangingFile: DiskFile {
        let bytes: Mutex<[UInt8]>
        init(_ bytes: [UInt8]) { self.bytes = Mutex(bytes) }

        func flip(_ bit: Int) { bytes.withLock { $0[bit / 8] ^= 1 << UInt8(bit % 8) } }

        func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
            let found = bytes.withLock { bytes in
                offset <= UInt64(bytes.count) && UInt64(count) <= UInt64(bytes.count) - offset
                    ? Array(bytes[Int(offset)..<Int(offset) + count]) : nil
            }
            guard let found else { throw DiskError(call: .read, path: "", code: DiskError.unexpectedEnd) }
            return found
        }

        func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
            throw DiskError(call: .append, path: "", code: 30)
        }
        func syncData() throws(DiskError) {}
        func preallocate(_ bytes: UInt64) throws(DiskError) {}
        func size() throws(DiskError) -> UInt64 { UInt64(bytes.withLock { $0.count }) }
        func close() {}
    }

    // MARK: WAL

    /// One group of a WAL as the whole file has it.
    private struct Group {
        var bytes: Range<UInt64>
        var sequences: Range<UInt64>
        var spans: UInt64
    }

    /// A directory with a WAL only: groups of one to three records with a witness behind each but the last.
    private func directory(seed: UInt64) throws -> (scene: SalvageTests.Scene, path: String, groups: [Group]) {
        let fixture = StoreFixture { $0.headBytes = 1 << 30 }
        var spans = SpanGenerator(seed: seed)
        spans.traceCount = 0
        let store = try fixture.open()
        let path = try #require(fixture.disk.paths.first { $0.hasPrefix("wal/") })
        var groups: [Group] = []
        var end: UInt64 = 128
        var sequence: UInt64 = 1
        func close(_ records: Int, _ spans: Int) {
            let size = UInt64(fixture.disk.bytes(of: path)?.count ?? 0)
            groups.append(
                Group(bytes: end..<size, sequences: sequence..<sequence + UInt64(records), spans: UInt64(spans)))
            end = size
            sequence += UInt64(records)
        }
        for step in 0..<3 {
            let records = 1 + (step + Int(seed)) % 2
            fixture.commit((0..<records).map { _ in spans.batch(1, arrival: 5) })
            close(records, records)
            if step < 2 {
                store.witnessStep()
                close(0, 0)
            }
        }
        let all = fixture.acknowledged[BatchOrigin.defaultTenant] ?? []
        return (SalvageTests.Scene(disk: fixture.disk.crash(.kill), fixture: fixture, all: all), path, groups)
    }

    @Test func everyBitOfTheWAL() throws {
        var (bits, seed, ambiguous, lost) = (0, UInt64(0), 0, 0)
        while bits < Self.budget * 8 {
            seed += 1
            let (scene, path, groups) = try directory(seed: seed)
            let whole = try #require(scene.disk.bytes(of: path))
            let disk = scene.disk.crash(.kill)
            var bytes = whole
            for bit in 0..<min(whole.count * 8, Self.budget * 8 - bits) {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                disk.set(path, to: bytes)
                let place = UInt64(bit / 8)
                let group = groups.firstIndex { $0.bytes.contains(place) }
                try check(try WALFacts(path, disk), group, groups, place)
                if bit % 8 == bit / 8 % 8 {
                    var salvage = StoreSalvage(from: disk, to: nil, configuration: scene.fixture.configuration)
                    let report = try salvage.run()
                    check(report, group, groups, scene.all.count, "seed \(seed) bit \(bit)")
                    ambiguous += group == groups.count - 1 ? 1 : 0
                    lost += report.losses.isEmpty ? 0 : 1
                }
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            }
            bits += min(whole.count * 8, Self.budget * 8 - bits)
        }
        print(
            "flips: WAL \(bits) bits in \(seed) files, all found; of \(bits / 8) replayed \(lost) lost a record, "
                + "\(ambiguous) in a last group were ambiguous")
    }

    /// Exactly the damaged group is missing, and the file's other groups are read.
    private func check(_ facts: WALFacts, _ group: Int?, _ groups: [Group], _ place: UInt64) throws {
        guard let group else {
            #expect(facts.damagedHeader?.contains(place) == true && facts.groups == groups.count)
            return
        }
        let damage = try #require(facts.damages.first)
        #expect(facts.damages.count == 1 && damage.bytes == groups[group].bytes, "byte \(place)")
        #expect(facts.groups == groups.count - 1 && damage.expected == groups[group].sequences.lowerBound)
        let next = group + 1 < groups.count ? groups[group + 1].sequences.lowerBound : nil
        #expect(damage.next == next, "byte \(place)")
    }

    private func check(_ report: SalvageReport, _ group: Int?, _ groups: [Group], _ all: Int, _ context: String) {
        let saved = report.walSpans
        guard let group, group < groups.count - 1 else {
            #expect(report.losses.isEmpty && report.notes.count == 1, "\(context): \(report.losses) \(report.notes)")
            guard group != nil else {
                #expect(saved == UInt64(all), "\(context)")
                return
            }
            // The last group: nothing tells whether it had been acknowledged, and that is what is said.
            #expect(saved == UInt64(all) - groups[groups.count - 1].spans, "\(context)")
            #expect(report.notes[0].reason.contains("ambiguous") && !report.notes[0].isDamage, "\(context)")
            return
        }
        #expect(saved + report.lostSpans == UInt64(all), "\(context)")
        #expect(report.lostSpans <= 1, "\(context): one record of one span is damaged at most")
        #expect(report.losses.count + report.notes.count == 1, "\(context): \(report.losses) \(report.notes)")
        for loss in report.losses {
            #expect(loss.bytes == groups[group].bytes && loss.spans == 1, "\(context): \(loss)")
            let range = loss.sequences ?? 0...0
            #expect(range.lowerBound == range.upperBound && groups[group].sequences.contains(range.lowerBound))
        }
    }

    // MARK: Segments

    @Test func everyBitOfSegments() throws {
        var (bits, seed, inBlocks) = (0, UInt64(0), 0)
        while bits < Self.budget * 8 {
            seed += 1
            var source = SegmentRandomSpans(seed: seed)
            source.traceCount = 4
            let whole = segmentBytes(source.batches(2, spans: 10), blockSpans: 6).bytes
            let file = ChangingFile(whole)
            let reader = try SegmentReader(file: file, name: "test")
            let footer = SegmentSalvageTests.footer(of: whole).lowerBound
            let end = min(whole.count * 8, Self.budget * 8 - bits)
            for bit in 0..<end {
                let place = UInt64(bit / 8)
                file.flip(bit)
                if (64..<footer).contains(bit / 8) {
                    let found = reader.findings()
                    #expect(found.count == 1 && found[0].bytes?.contains(place) == true, "bit \(bit): \(found)")
                    #expect(found.first?.block != nil)
                    inBlocks += 1
                } else {
                    #expect(throws: SegmentError.self, "bit \(bit)") { try SegmentReader(file: file, name: "test") }
                }
                file.flip(bit)
            }
            bits += end
        }
        print(
            "flips: segments \(bits) bits in \(seed) files, all found; \(inBlocks) cost one block, "
                + "\(bits - inBlocks) in header, footer and trailer")
    }

    // MARK: Manifests

    @Test func everyBitOfManifests() throws {
        var (bits, seed) = (0, UInt64(0))
        var random = SeededRandom(seed: 5)
        while bits < Self.budget * 8 {
            seed += 1
            var manifest = Manifest(storeID: (0..<16).map { _ in UInt8(random.below(256)) })
            manifest.edition = seed
            manifest.segments = (1...8).map { id in
                ManifestSegment(
                    id: id, firstSequence: id, lastSequence: id + 1, spanCount: random.next() >> 40,
                    byteCount: random.next() >> 30, latestArrival: random.next(), level: UInt8(random.below(4)))
            }
            var bytes = manifest.encoded()
            #expect(try Manifest.decode(bytes) == manifest)
            let end = min(bytes.count * 8, Self.budget * 8 - bits)
            for bit in 0..<end {
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
                #expect(((try? Manifest.decode(bytes)) ?? nil) == nil, "bit \(bit)")
                bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            }
            bits += end
        }
        print("flips: manifests \(bits) bits in \(seed) files, all found")
    }
}
