internal import Telemetry

/// The part of recovery that finds out what is pinned; the segments are loaded.
///
/// Source: schemas/disk/manifest.md, "PINS".
extension Recovery {
    mutating func loadPins() throws {
        let bytes: [UInt8]
        do { bytes = try disk.readAll(StorePath.pins, limit: 1 << 30) } catch {
            guard error.isMissing else { throw error }
            if hasPinnedSegments { try rebuildPins("missing") }
            return
        }
        do {
            if let found = try Pins.decode(bytes, storeID: manifest.storeID) {
                shared.pins = found
            } else {
                try keepCopy(StorePath.pins)
                try rebuildPins("damaged")
            }
        } catch let error as UnknownFormat {
            throw StoreOpenError.unknownFormat(path: StorePath.pins, major: error.major)
        }
    }

    private var hasPinnedSegments: Bool { shared.segments.contains { $0.retentionClass == .pinned } }

    /// What was pinned and moved by compaction is pinned again; a later pin of a trace elsewhere is gone.
    private mutating func rebuildPins(_ reason: String) throws {
        problem("\(StorePath.pins) is \(reason): pins are made again from the segments of pinned traces")
        let now = configuration.wallClock()
        for segment in shared.segments where segment.retentionClass == .pinned {
            let inflater = PieceInflater()
            for index in segment.reader.footer.blocks.indices {
                let tenant = segment.reader.footer.tenants[segment.reader.footer.blocks[index].tenant]
                var block = segment.reader.block(index, inflater)
                guard let traces = try? BlockTraces(&block) else { continue }
                for trace in 0..<traces.count where shared.pins.marks.count < Pins.limit {
                    shared.pins.marks[Pins.Key(tenant: tenant, traceID: traces.id(trace))] = now
                }
            }
        }
        try disk.replace(StorePath.pins, with: shared.pins.encoded(storeID: manifest.storeID), in: "")
    }
}
