internal import Synchronization
package import Telemetry

/// Why a trace was not pinned or unpinned.
package enum PinError: Error, Hashable, Sendable {
    /// No span of it is stored.
    case unknown
    /// As many pins as may be.
    case tooMany(limit: Int)
    /// Pinned traces fill the bytes set aside for them.
    case full(bytes: UInt64, limit: UInt64)
    /// A part could not be read.
    case read(ReadError)
    /// The pins could not be written.
    case disk(DiskError)
    case closed
}

/// A pinned trace.
package struct PinnedTrace: Hashable, Sendable {
    package let traceID: TraceID
    /// Unix nanoseconds.
    package let created: UInt64
}

extension SegmentStore {
    /// Keeps a trace for as long as it is pinned, whatever its age: on disk before this returns.
    ///
    /// Whatever removes spans does it under the `upkeep` lock and asks the pins there; so a trace that is found here is
    /// still there when its pin counts.
    /// - Returns: false when it was pinned already.
    @discardableResult
    package func pin(_ traceID: TraceID, tenant: String) throws(PinError) -> Bool {
        let key = Pins.Key(tenant: tenant, traceID: traceID)
        let isNew = try change { (pins) throws(PinError) in
            guard pins.marks[key] == nil else { return false }
            guard pins.marks.count < Pins.limit else { throw .tooMany(limit: Pins.limit) }
            try checkPinnedBytes()
            guard try isStored(traceID, tenant) else { throw .unknown }
            pins.marks[key] = configuration.wallClock()
            return true
        }
        if isNew { configuration.log(.info, "pinned trace \(traceID.hex32)") }
        return isNew
    }

    /// Lets a trace go: from now on it is kept like any other of its class.
    /// - Returns: false when it was not pinned.
    @discardableResult
    package func unpin(_ traceID: TraceID, tenant: String) throws(PinError) -> Bool {
        let key = Pins.Key(tenant: tenant, traceID: traceID)
        let wasPinned = try change { (pins) throws(PinError) in pins.marks.removeValue(forKey: key) != nil }
        guard wasPinned else { return false }
        configuration.log(.info, "unpinned trace \(traceID.hex32)")
        compactSignal.raise()
        return true
    }

    /// Every pinned trace of a tenant, newest pin first.
    package func pins(tenant: String) -> [PinnedTrace] {
        shared.withLock { $0.pins }.marks.filter { $0.key.tenant == tenant }
            .map { PinnedTrace(traceID: $0.key.traceID, created: $0.value) }
            .sorted { ($0.created, $0.traceID) > ($1.created, $1.traceID) }
    }

    /// A deletion is meant, so the pins go with the traces. Where that cannot be written they keep what comes later.
    func unpinDeleted(_ traceIDs: [TraceID], _ tenant: String) {
        let keys = traceIDs.map { Pins.Key(tenant: tenant, traceID: $0) }
        do {
            _ = try change { (pins) throws(PinError) in
                let before = pins.marks.count
                for key in keys { pins.marks[key] = nil }
                return pins.marks.count < before
            }
        } catch { configuration.log(.warning, "pins of deleted traces stay: \(error)") }
    }

    /// Writes the pins when `body` says that it changed them; only then do they count.
    private func change(
        _ body: (inout Pins) throws(PinError) -> Bool
    ) throws(PinError) -> Bool {
        let outcome = upkeep.withLock { _ -> Result<Bool, PinError> in
            var (pins, isClosed) = shared.withLock { ($0.pins, $0.isClosed) }
            if isClosed { return .failure(.closed) }
            do throws(PinError) {
                guard try body(&pins) else { return .success(false) }
                try write(pins)
            } catch { return .failure(error) }
            shared.withLock { $0.pins = pins }
            return .success(true)
        }
        return try outcome.get()
    }

    private func write(_ pins: Pins) throws(PinError) {
        do { try disk.replace(StorePath.pins, with: pins.encoded(storeID: storeID), in: "") } catch {
            throw .disk(error)
        }
    }

    private func checkPinnedBytes() throws(PinError) {
        let (segments, limit) = shared.withLock { ($0.segments, $0.retention.classes[.pinned]?.bytes) }
        guard let limit else { return }
        let bytes = segments.reduce(0) { $0 &+ ($1.retentionClass == .pinned ? $1.entry.byteCount : 0) }
        if bytes >= limit { throw .full(bytes: bytes, limit: limit) }
    }

    private func isStored(_ traceID: TraceID, _ tenant: String) throws(PinError) -> Bool {
        do throws(ReadError) {
            for part in parts() where try part.extent(of: traceID, tenant: tenant) != nil { return true }
            return false
        } catch { throw .read(error) }
    }

    /// Whether retention must not unlink the segment: some pinned trace has spans in it that are not deleted.
    func holdsPin(_ segment: StoredSegment, _ pins: Pins, _ tombstones: Tombstones) -> Bool {
        pins.marks.keys.contains { key in
            guard segment.reader.footer.filter.mayContain(key.traceID.high, key.traceID.low) else { return false }
            let part = StorePart(segment.reader, hiding: tombstones)
            // What cannot be read may hold it.
            do { return try part.extent(of: key.traceID, tenant: key.tenant) != nil } catch { return true }
        }
    }
}

extension StoredSegment {
    var retentionClass: RetentionClass { reader.identity.standing.retentionClass }
    var thinning: UInt8 { reader.identity.standing.thinning }
}

/// The segments of one class in numbers.
package struct ClassTotals: Hashable, Sendable {
    package let retentionClass: RetentionClass
    package var segments = 0
    package var spans: UInt64 = 0
    package var bytes: UInt64 = 0
}

extension SegmentStore {
    /// Of the classes of which there are segments.
    package var classes: [ClassTotals] {
        var totals = RetentionClass.allCases.map { ClassTotals(retentionClass: $0) }
        for segment in shared.withLock({ $0.segments }) {
            let index = Int(segment.retentionClass.rawValue)
            totals[index].segments += 1
            totals[index].spans &+= segment.entry.spanCount
            totals[index].bytes &+= segment.entry.byteCount
        }
        return totals.filter { $0.segments > 0 }
    }
}
