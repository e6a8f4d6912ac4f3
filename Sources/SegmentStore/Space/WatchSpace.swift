internal import Synchronization
internal import Telemetry

/// Looking at the free space, once a second and after every eighth of the reserve that was logged.
extension SegmentStore {
    /// The free space as it was last seen.
    package var space: SpaceReport {
        var report = shared.withLock { $0.space }
        report.ballastBytes = ballast.byteCount
        return report
    }

    /// Whether room should be made before it is asked for.
    var isDiskLow: Bool { shared.withLock { $0.space.level != .ample } }

    /// The first look, before anything is taken.
    func prepareSpace() {
        guard configuration.reservedBytes != 0 else { return }
        commits.withLock { watchSpace(&$0) }
    }

    func watchSpace(_ state: inout CommitState, afterWriting records: [WALRecord]) {
        guard configuration.reservedBytes != 0, configuration.durability != .memory else { return }
        state.unwatchedBytes &+= records.reduce(0) { $0 &+ UInt64(clamping: $1.byteCount) }
        let total = shared.withLock { $0.space.totalBytes }
        let hard = configuration.watermarks(of: DiskSpace(freeBytes: 0, totalBytes: total)).hard
        if state.unwatchedBytes >= max(hard / 8, 64 << 10) { watchSpace(&state) }
    }

    func watchSpace(_ state: inout CommitState) {
        state.unwatchedBytes = 0
        let space: DiskSpace
        do { space = try disk.space() } catch {
            return configuration.log(.warning, "\(error)")
        }
        let marks = configuration.watermarks(of: space)
        note(space, marks)
        if shared.withLock({ $0.readOnly != nil }) {
            if space.freeBytes >= marks.resume { leaveReadOnly(&state) }
        } else if space.freeBytes < marks.hard {
            enterReadOnly("only \(space.freeBytes) bytes free on the disk", &state)
        }
        if space.freeBytes >= marks.resume &+ marks.ballast { restoreBallast(marks.ballast) }
    }

    private func note(_ space: DiskSpace, _ marks: Watermarks) {
        let level = marks.level(freeBytes: space.freeBytes)
        let before = shared.withLock { shared in
            defer {
                shared.space.freeBytes = space.freeBytes
                shared.space.totalBytes = space.totalBytes
                shared.space.level = level
            }
            return shared.space.level
        }
        guard level != before else { return }
        if level == .low {
            configuration.log(
                .warning, "only \(space.freeBytes) bytes free on the disk; below \(marks.hard) no spans are taken")
        }
        if level != .ample { compactSignal.raise() }
    }

    private func restoreBallast(_ bytes: UInt64) {
        do throws(DiskError) { try ballast.reserve(bytes) } catch {
            configuration.log(.warning, "no ballast: \(error)")
        }
    }

    /// The byte limit of retention: on a disk that runs low less by what is missing, but at least three quarters.
    func lowered(_ limit: UInt64) -> UInt64 {
        let space = shared.withLock { $0.space }
        let marks = configuration.watermarks(of: DiskSpace(freeBytes: space.freeBytes, totalBytes: space.totalBytes))
        guard space.totalBytes > 0, space.freeBytes < marks.soft else { return limit }
        return max(limit - min(limit, marks.soft - space.freeBytes), limit / 4 * 3)
    }
}
