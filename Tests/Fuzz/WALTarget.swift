internal import SegmentStore
internal import Telemetry
internal import TestKit

/// A WAL file as a disk may give it back: opening must come up with a balanced ledger, never trap.
extension FuzzTarget {
    static let wal = FuzzTarget(
        name: "wal",
        seeds: { [1, 2, 3].map(WALSeed.bytes) },
        check: { input in
            let disk = WALSeed.directory()
            disk.set(WALSeed.path, to: input)
            do {
                let store = try SegmentStore.open(disk, configuration: WALSeed.configuration)
                for part in store.parts() { _ = try part.extents(matching: SpanFilter(), budget: QueryBudget()) }
                return store.ledgerTerms.balanced ? nil : "unbalanced: \(store.ledgerTerms)"
            } catch let error as StoreOpenError {
                if case .unknownFormat = error { return nil }
                return "\(error)"
            } catch {
                return "\(error)"
            }
        })

    /// The body of a span record behind a checksum that held.
    static let spanBatch = FuzzTarget(
        name: "span-batch",
        seeds: {
            var spans = SpanGenerator(seed: 1)
            return [1, 4].map { SpanBatchCodec.withPieces(of: spans.batch($0)) { $0.flatMap { [UInt8]($0) } } }
        },
        check: { input in
            guard let batch = try? input.withUnsafeBytes({ try SpanBatchCodec.decode($0, tenant: "t") }) else {
                return nil
            }
            for index in batch.spans.indices { _ = batch.record(index) }
            return nil
        })
}

/// Directories with one WAL file of one store.
private enum WALSeed {
    static let path = "wal/00000000000000000001.wal"

    static var configuration: StoreConfiguration {
        var configuration = StoreConfiguration(wallClock: { 7 })
        configuration.runsThreads = false
        configuration.reservedBytes = 0
        configuration.random = { 1 }
        return configuration
    }

    static func directory() -> SimulatedDisk {
        let disk = SimulatedDisk()
        disk.set("META", to: StoreMeta(storeID: Array(0..<16), created: 1).encoded())
        return disk
    }

    static func bytes(groups: Int) -> [UInt8] {
        let disk = directory()
        guard let store = try? SegmentStore.open(disk, configuration: configuration) else { return [] }
        var spans = SpanGenerator(seed: UInt64(groups))
        for _ in 0..<groups {
            store.append(spans.batch(2)) { _ in }
            store.commitStep()
            store.witnessStep()
        }
        return disk.bytes(of: path) ?? []
    }
}
