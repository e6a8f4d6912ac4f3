internal import Endpoints
internal import Logging
internal import SegmentStore

/// The store's snapshots as the endpoints tell them.
extension CrestDaemon {
    func makeSnapshot() -> Result<SnapshotFacts, SnapshotRefusal> {
        guard let store = door.store else { return .failure(SnapshotRefusal("the store is not open yet")) }
        do throws(SnapshotError) {
            let made = try store.snapshot()
            log.info("snapshot \(made.id) with \(made.snapshot.spans) spans")
            return .success(facts(made))
        } catch {
            log.error("snapshot: \(error)")
            return .failure(SnapshotRefusal("\(error)"))
        }
    }

    var snapshots: [SnapshotFacts] { (door.store?.snapshots() ?? []).map(facts) }

    private func facts(_ named: NamedSnapshot) -> SnapshotFacts {
        let snapshot = named.snapshot
        return SnapshotFacts(
            id: named.id, createdUnixNano: snapshot.created, spans: snapshot.spans, bytes: snapshot.bytes,
            segments: UInt64(snapshot.segments), lastSequence: snapshot.lastSequence,
            path: "\(configuration.dataDirectory)/\(StorePath.snapshotDirectory)/\(named.id)")
    }
}
