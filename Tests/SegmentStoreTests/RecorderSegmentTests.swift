internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import TestKit
internal import Testing

/// A source whose blocks are a few bytes each.
private final class ByteSource: RecorderSource {
    struct Block: RecordableBlock {
        var facts: RecorderBlockFacts
        var chunks: [RecorderChunk]

        func forEachChunk(_ body: (RecorderChunk) -> Bool) {
            for chunk in chunks where !body(chunk) { return }
        }
    }

    struct State {
        var number: UInt64 = 0
        var sealed: [RecorderBlockFacts] = []
        var closed: [Block] = []
    }

    let state = Mutex(State())

    func beginRecording(number: UInt64, sealed: [RecorderBlockFacts]) {
        state.withLock { state in
            state.number = number
            state.sealed = sealed
        }
    }

    func beginLog(_ salt: UInt64, isRestoring: Bool) {}
    func closeBlock(nowSecond: Int64, isForced: Bool) {}
    var closedBlocks: [any RecordableBlock] { state.withLock { $0.closed } }
    func release(block number: UInt64) { state.withLock { $0.closed.removeAll { $0.facts.number == number } } }

    /// A block over the ten seconds from `first`.
    func close(first: Int64, isFull: Bool = false, plain: [UInt8] = Array("what a chunk holds".utf8)) {
        state.withLock { state in
            let facts = RecorderBlockFacts(
                number: state.number, first: first, through: first + 9, isFull: isFull,
                mark: RecorderMark(log: 5, windows: state.number * 10))
            let chunks = ["a", "m"].map { name in
                RecorderChunk(
                    firstFamily: Array(name.utf8), lastFamily: Array("\(name)z".utf8), seriesCount: 1, valueCount: 2,
                    plain: plain + Array(name.utf8))
            }
            state.closed.append(Block(facts: facts, chunks: chunks))
            state.number += 1
        }
    }
}

struct RecorderSegmentTests {
    private func settings(_ clock: ManualClock) -> StoreConfiguration {
        var settings = StoreConfiguration(wallClock: { clock.now })
        settings.runsThreads = false
        return settings
    }

    private func open(
        _ disk: SimulatedDisk, _ source: ByteSource, _ clock: ManualClock,
        _ retention: RecorderRetention = RecorderRetention(age: nil, bytes: 1 << 30)
    ) throws -> MetricsRecorder {
        try MetricsRecorder.open(disk, source: source, retention: retention, configuration: settings(clock))
    }

    private func firsts(_ recorder: MetricsRecorder, _ from: Int64 = 0, _ through: Int64 = 1 << 40) -> [Int64] {
        recorder.segments(from: from, through: through).map(\.facts.first)
    }

    @Test func blocksBecomeSegmentsThatAreThereAfterARestart() throws {
        let (disk, source, clock) = (SimulatedDisk(), ByteSource(), ManualClock())
        let recorder = try open(disk, source, clock)
        source.close(first: 100, isFull: true)
        source.close(first: 110)
        source.close(first: 120, isFull: true)
        source.close(first: 130)
        recorder.step()
        #expect(recorder.counts.segments == 4 && recorder.counts.values == 16)
        #expect(source.closedBlocks.isEmpty)
        #expect(firsts(recorder, 115, 115) == [100, 110, 120, 130])
        #expect(firsts(recorder, 135, 135) == [120, 130])
        #expect(firsts(recorder, 0, -200).isEmpty)

        let again = ByteSource()
        let reopened = try open(disk.crash(.powerLoss), again, clock)
        #expect(again.state.withLock { $0.number } == 5)
        #expect(again.state.withLock { $0.sealed.map(\.mark.windows) } == [10, 20, 30, 40])
        let segment = try #require(reopened.segments(from: 0, through: 1 << 40).first)
        #expect(segment.families.map(\.first) == [Array("a".utf8), Array("m".utf8)])
        #expect(segment.chunk(1) == Array("what a chunk holdsm".utf8))
        #expect(segment.chunk(2) == nil)
    }

    @Test func afterACrashAtAnyCallSegmentsAreWholeOrAbsent() throws {
        func work(_ disk: SimulatedDisk) -> Int {
            let (source, clock) = (ByteSource(), ManualClock())
            guard let recorder = try? open(disk, source, clock, RecorderRetention(age: nil, bytes: 500)) else {
                return 0
            }
            for block in 0..<3 {
                source.close(first: Int64(block) * 10)
                recorder.step()
                clock.advance(seconds: 1)
            }
            return recorder.counts.segments
        }
        let whole = SimulatedDisk()
        _ = work(whole)
        for call in 1...whole.callCount + 1 {
            let disk = SimulatedDisk()
            disk.change { $0.crashAt = call }
            _ = work(disk)
            for kind: SimulatedDisk.Crash in [.kill, .powerLoss, .tornPowerLoss(seed: UInt64(call))] {
                let next = disk.crash(kind)
                let recorder = try open(next, ByteSource(), ManualClock())
                let context = "call \(call), \(kind), \(next.paths)"
                #expect(recorder.problems.isEmpty, "\(context)")
                #expect(next.paths.allSatisfy { !$0.hasSuffix(".tmp") }, "\(context)")
                for segment in recorder.segments(from: 0, through: 1 << 40) {
                    for index in segment.families.indices { #expect(segment.chunk(index) != nil, "\(context)") }
                }
            }
        }
    }

    /// A file with one segment, and where it is.
    private func oneSegment() throws -> (bytes: [UInt8], path: String) {
        let (disk, source) = (SimulatedDisk(), ByteSource())
        let recorder = try open(disk, source, ManualClock())
        source.close(first: 1_700_000_000, isFull: true)
        recorder.step()
        let path = try #require(disk.paths.first { $0.hasSuffix(".rec") })
        let file = try disk.open(path)
        return (try file.read(at: 0, count: Int(try file.size())), path)
    }

    /// Whether the recorder notices: at the start or when it reads.
    private func isFound(_ bytes: [UInt8], _ path: String) throws -> Bool {
        let disk = SimulatedDisk()
        for folder in ["recorder", "quarantine"] { try disk.makeDirectory(folder) }
        let file = try disk.create(path)
        try file.append(bytes)
        let recorder = try open(disk, ByteSource(), ManualClock())
        if !recorder.problems.isEmpty {
            return recorder.counts.quarantined == 1 && disk.paths.contains { $0.hasPrefix("quarantine/") }
        }
        for segment in recorder.segments(from: 0, through: 1 << 40) {
            for index in segment.families.indices where segment.chunk(index) == nil {
                return recorder.counts.damagedChunks == 1
            }
        }
        return false
    }

    @Test func everyCutAndEveryFlippedByteIsFound() throws {
        let (bytes, path) = try oneSegment()
        #expect(try !isFound(bytes, path))
        for length in 0..<bytes.count { #expect(try isFound(Array(bytes.prefix(length)), path), "cut to \(length)") }
        for offset in bytes.indices {
            for mask: UInt8 in [1, 0x80] {
                var flipped = bytes
                flipped[offset] ^= mask
                #expect(try isFound(flipped, path), "byte \(offset) ^ \(mask)")
            }
        }
        #expect(try isFound(bytes, "recorder/00000000000000000002.rec"), "another name")
    }

    @Test func thePageShowsWhatIsWritten() throws {
        let written = WorkedDump.formatted(try oneSegment().bytes)
        #expect(try WorkedDump.text("recorder-file", on: "recorder.md") == written, "\n\(written)")
    }

    @Test func retentionGoesByAgeAndByBytes() throws {
        let (disk, source) = (SimulatedDisk(), ByteSource())
        let clock = ManualClock(1_000 * 1_000_000_000)
        let recorder = try open(disk, source, clock, RecorderRetention(age: 100 * 1_000_000_000, bytes: 1 << 30))
        for first in [850, 880, 891, 950] as [Int64] { source.close(first: first) }
        recorder.step()
        #expect(firsts(recorder) == [891, 950])
        #expect(recorder.counts.expiredSegments == 2 && recorder.counts.oldestSecond == 891)
        #expect(disk.paths.filter { $0.hasSuffix(".rec") }.count == 2)
        recorder.setRetention(RecorderRetention(age: nil, bytes: recorder.counts.bytes - 1))
        recorder.step()
        #expect(firsts(recorder) == [950])
    }

    @Test func aFullDiskKeepsBlocksInMemoryAndTriesAgain() throws {
        let (disk, source, clock) = (SimulatedDisk(), ByteSource(), ManualClock())
        let recorder = try open(disk, source, clock)
        disk.change { $0.failing = [.append: 28] }
        source.close(first: 100)
        recorder.step()
        recorder.step()
        #expect(recorder.counts.errors == 1 && recorder.counts.problem != nil && recorder.counts.segments == 0)
        #expect(source.closedBlocks.count == 1)
        disk.change { $0.failing = [:] }
        clock.advance(seconds: 5)
        recorder.step()
        #expect(recorder.counts.segments == 1 && recorder.counts.problem == nil)
        #expect(recorder.close())
    }
}
