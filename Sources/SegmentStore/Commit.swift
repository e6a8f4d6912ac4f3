internal import Synchronization
internal import Telemetry

/// The committer's steps. Its thread calls them in turn; tests call them one by one.
extension SegmentStore {
    /// Commits one group of what waits: log, sync, head, completions. False when nothing waited.
    @discardableResult
    package func commitStep() -> Bool {
        let group = queue.take(bytes: configuration.groupBytes, requests: configuration.groupRequests)
        guard !group.isEmpty else { return false }
        noteWait(of: group)
        let outcome = commits.withLock { state in commit(group, &state) }
        queue.settle(group)
        switch outcome {
        case .success(let first):
            for (index, request) in group.enumerated() {
                let sequence = first &+ UInt64(index)
                request.completion(
                    .success(CommitReceipt(sequence: sequence, durability: configuration.durability)))
            }
        case .failure(let refusal):
            for request in group { request.completion(.failure(refusal)) }
        }
        return true
    }

    /// Returns the sequence of the first record. After a failure nothing of the group is in the head.
    private func commit(
        _ group: [CommitQueue.Request], _ state: inout CommitState
    ) -> Result<UInt64, CommitRefusal> {
        let records = group.map(\.record)
        let first = state.nextSequence
        if configuration.durability != .memory {
            guard state.writer != nil else {
                return .failure(.readOnly(shared.withLock { $0.readOnly } ?? "no WAL file"))
            }
            do throws(DiskError) { try log(records, &state) } catch {
                guard failOver(error, rewriting: records, &state) else {
                    return .failure(.readOnly("\(error)"))
                }
            }
        }
        state.nextSequence &+= UInt64(records.count)
        state.spansBefore &+= spanCount(records)
        if configuration.durability == .interval {
            for (index, record) in records.enumerated() {
                state.unsynced.append(UnsyncedRecord(sequence: first &+ UInt64(index), record: record))
            }
        }
        if configuration.durability == .synced { durableSequence.store(state.nextSequence &- 1, ordering: .releasing) }
        for (index, record) in records.enumerated() {
            shared.withLock { shared in
                shared.active.insert(record.batch, sequence: first &+ UInt64(index))
                shared.stored &+= UInt64(record.batch.spans.count)
            }
        }
        state.isWitnessed = configuration.durability == .memory
        watchSpace(&state, afterWriting: records)
        if shared.withLock({ $0.active.byteCount >= $0.retention.headBytes(configuration.headBytes) }) {
            rotate(&state)
        }
        return .success(first)
    }

    private func spanCount(_ records: [WALRecord]) -> UInt64 {
        records.reduce(0) { $0 &+ UInt64($1.batch.spans.count) }
    }

    /// Writes one group, and syncs it when that is what an acknowledgement promises.
    private func log(_ records: [WALRecord], _ state: inout CommitState) throws(DiskError) {
        guard let writer = state.writer else { throw DiskError(call: .append, path: StorePath.walDirectory, code: 30) }
        try writer.append(
            records, firstSequence: state.nextSequence, durableSequence: state.durableSequence,
            spansBefore: state.spansBefore, wall: configuration.wallClock())
        if configuration.durability == .synced {
            let start = monotonicNanoseconds()
            try writer.sync()
            noteSync(monotonicNanoseconds() &- start)
        }
        shared.withLock { shared in
            guard let last = shared.walFiles.indices.last else { return }
            shared.walFiles[last].byteCount = writer.byteCount
        }
    }

    /// After a failed write or sync: that file is never touched again. What it holds without a sync, and `records`,
    /// are written to a new one. False when that fails too: the store is read-only then.
    private func failOver(
        _ error: DiskError, rewriting records: [WALRecord], _ state: inout CommitState
    ) -> Bool {
        configuration.log(.error, "WAL: \(error); going on in a new file")
        state.writer?.close()
        state.writer = nil
        let kept = state.unsynced
        let first = state.durableSequence &+ 1
        let spansBefore = state.spansBefore &- spanCount(kept.map(\.record))
        endWALFile(lastSequence: first &- 1)
        do {
            let writer = try startWALFile(firstSequence: first, spansBefore: spansBefore, storeID: state.storeID)
            if !(kept.isEmpty && records.isEmpty) {
                try writer.append(
                    kept.map(\.record) + records, firstSequence: first, durableSequence: first &- 1,
                    spansBefore: spansBefore, wall: configuration.wallClock())
                try writer.sync()
            }
            state.writer = writer
            state.unsynced = []
            durableSequence.store(state.nextSequence &- 1, ordering: .releasing)
            return true
        } catch {
            enterReadOnly("\(error)", &state)
            return false
        }
    }

    /// Creates a WAL file and lists it; it takes the place of one of the same name.
    func startWALFile(
        firstSequence: UInt64, spansBefore: UInt64, storeID: [UInt8]
    ) throws(DiskError) -> WALWriter {
        let header = WALFileHeader(
            storeID: storeID, firstSequence: firstSequence, spansBefore: spansBefore, salt: configuration.random())
        let writer = try WALWriter.create(header, on: disk)
        let file = WALFile(path: writer.path, firstSequence: firstSequence, byteCount: writer.byteCount)
        shared.withLock { shared in
            shared.walFiles.removeAll { $0.path == file.path }
            shared.walFiles.append(file)
        }
        return writer
    }

    /// Notes that the newest WAL file holds nothing beyond `lastSequence`.
    func endWALFile(lastSequence: UInt64) {
        shared.withLock { shared in
            guard let last = shared.walFiles.indices.last, shared.walFiles[last].lastSequence == nil else { return }
            shared.walFiles[last].lastSequence = lastSequence
        }
    }

    /// Stops taking spans. What is only in the page cache goes to the sealer, which may still find room.
    func enterReadOnly(_ reason: String, _ state: inout CommitState) {
        configuration.log(.error, "read-only: \(reason)")
        state.writer?.close()
        state.writer = nil
        endWALFile(lastSequence: state.nextSequence &- 1)
        state.unsynced = []
        shared.withLock { $0.readOnly = reason }
        queue.refuse(.readOnly(reason))
        handOver(&state)
    }

    /// Puts the head in line for sealing, with a WAL file of its own behind it. No-op for an empty head, or while as
    /// many wait as may.
    func rotate(_ state: inout CommitState) {
        let isPossible = shared.withLock { !$0.active.isEmpty && $0.sealing.count < Limits.sealingHeads }
        guard isPossible, state.writer != nil || configuration.durability == .memory else { return }
        syncWritten(&state)
        if configuration.durability == .interval { testify(&state) }
        guard let old = state.writer else { return handOver(&state) }
        do {
            endWALFile(lastSequence: state.nextSequence &- 1)
            let writer = try startWALFile(
                firstSequence: state.nextSequence, spansBefore: state.spansBefore, storeID: state.storeID)
            old.close()
            state.writer = writer
            state.isWitnessed = true
            handOver(&state)
        } catch {
            enterReadOnly("\(error)", &state)
        }
    }

    private func handOver(_ state: inout CommitState) {
        let id = state.nextSegmentID
        let covered = state.nextSequence &- 1
        let isHandedOver = shared.withLock { shared in
            guard !shared.active.isEmpty else { return false }
            shared.sealing.append(SealingHead(head: shared.active, coveredSequence: covered, segmentID: id))
            shared.active = Head()
            return true
        }
        guard isHandedOver else { return }
        state.nextSegmentID &+= 1
        sealSignal.raise()
    }

    /// Syncs what durability `interval` has written; a failure goes the way of every failed sync.
    private func syncWritten(_ state: inout CommitState) {
        guard !state.unsynced.isEmpty, let writer = state.writer else { return }
        do {
            try writer.sync()
            state.unsynced = []
            durableSequence.store(state.nextSequence &- 1, ordering: .releasing)
        } catch {
            _ = failOver(error, rewriting: [], &state)
        }
    }

    package func syncStep() { commits.withLock { syncWritten(&$0) } }

    /// Writes the group that testifies for the newest one; see schemas/disk/wal.md, "Group".
    package func witnessStep() {
        commits.withLock { testify(&$0) }
    }

    /// With durability `interval` also the last group of a file that is full: only a file's own groups say which of
    /// its records were durable.
    private func testify(_ state: inout CommitState) {
        guard !state.isWitnessed, state.unsynced.isEmpty, state.writer != nil else { return }
        state.isWitnessed = true
        do throws(DiskError) {
            try log([], &state)
            if configuration.durability == .interval { try state.writer?.sync() }
        } catch {
            _ = failOver(error, rewriting: [], &state)
        }
    }

    /// Once a second: room on the disk, and a head that has become old.
    package func idleStep() {
        commits.withLock { state in
            watchSpace(&state)
            let (arrival, isTaking, retention) = shared.withLock {
                ($0.active.earliestArrival, $0.readOnly == nil, $0.retention)
            }
            let now = configuration.wallClock()
            guard isTaking, now > arrival, now - arrival > retention.headAge(configuration.headAge) else { return }
            rotate(&state)
        }
    }

    func leaveReadOnly(_ state: inout CommitState) {
        if configuration.durability != .memory {
            do {
                state.writer = try startWALFile(
                    firstSequence: state.nextSequence, spansBefore: state.spansBefore, storeID: state.storeID)
                state.isWitnessed = true
            } catch {
                return configuration.log(.warning, "still read-only: \(error)")
            }
        }
        shared.withLock { $0.readOnly = nil }
        if !isStopping.load(ordering: .acquiring) { queue.refuse(nil) }
        configuration.log(.info, "taking spans again")
    }

    /// Puts the head in line for sealing whatever its size; with `runsThreads` false, seals it before returning.
    package func sealNow() {
        commits.withLock { rotate(&$0) }
        if !configuration.runsThreads { while sealStep() {} }
    }
}
