internal import Synchronization
internal import Telemetry

extension SegmentStore {
    /// Runs after the threads have ended. A crash in here is like any other.
    func closeFiles(sealing: Bool) -> Bool {
        while commitStep() {}
        syncStep()
        if sealing {
            while sealStep() {}
            sealHead()
        } else {
            witnessStep()
        }
        let (isEmpty, isSynced) = commits.withLock { state in
            let isSynced = configuration.durability != .memory && state.unsynced.isEmpty && state.writer != nil
            state.writer?.close()
            state.writer = nil
            endWALFile(lastSequence: state.nextSequence &- 1)
            return (shared.withLock { $0.active.isEmpty && $0.sealing.isEmpty }, isSynced)
        }
        upkeep.withLock { state in
            state.manifest.closedInOrder = isEmpty
            if writeManifest(&state), isEmpty { removeSealedWAL(&state) }
        }
        shared.withLock { $0.isClosed = true }
        return isEmpty || isSynced
    }

    private func sealHead() {
        commits.withLock { rotate(&$0) }
        while sealStep() {}
    }
}
