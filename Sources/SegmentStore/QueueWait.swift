internal import Synchronization
internal import Telemetry

extension SegmentStore {
    /// Tells the admission level how long a group has waited. Only the time before the group ahead of it was taken
    /// counts: to wait for one commit is no overload, however slow the disk, to be left behind by a full group is.
    func noteWait(of group: [CommitQueue.Request]) {
        let now = MonotonicTime.now()
        let before = lastGroupTaken.exchange(now, ordering: .relaxed)
        let waited = group.reduce(UInt64(0)) { $0 &+ ($1.queuedAt < before ? before - $1.queuedAt : 0) }
        configuration.admission.note(requests: group.count, waited: waited, now: now)
    }

    /// One part in eight of the newest, the rest of those before. The committer alone calls this.
    func noteSync(_ nanoseconds: UInt64) {
        let before = syncTime.load(ordering: .relaxed)
        syncTime.store(before == 0 ? nanoseconds : before - before / 8 + nanoseconds / 8, ordering: .relaxed)
    }
}
