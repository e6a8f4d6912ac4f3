internal import Endpoints
internal import SegmentStore

extension DaemonMetrics {
    /// The file system of the data directory, as the store last saw it.
    static func space(_ space: SpaceReport) -> [SelfMetricFamily] {
        [
            .gauge("crest_disk_free_bytes", "Bytes free on the data directory's file system.", Double(space.freeBytes)),
            .gauge(
                "crest_disk_level",
                "0: room enough; 1: below the soft watermark; 2: below the hard one, no spans taken.",
                Double(space.level.rawValue)),
            .gauge(
                "crest_disk_ballast_bytes", "Bytes set aside for the time when the disk is full.",
                Double(space.ballastBytes)),
            .gauge(
                "crest_snapshot_held_bytes",
                "Bytes of segments that only snapshots hold; they count towards no limit of retention.",
                Double(space.snapshotBytes)),
        ]
    }
}

extension SpaceReport {
    /// What an operator should read while there is still time; nil: nothing.
    var warning: String? {
        level == .low ? "only \(freeBytes) of \(totalBytes) bytes are free on the disk of the data directory" : nil
    }
}
