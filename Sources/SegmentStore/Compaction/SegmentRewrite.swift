internal import Telemetry

/// Merges that write everything to one segment, whatever class its traces have.
extension SegmentMerge {
    /// - Parameter skipping: blocks of each reader to leave out.
    init(
        _ readers: [SegmentReader], tombstones: Tombstones, compressionLevel: Int32, blockSpans: Int,
        skipping: Set<Int> = []
    ) {
        var sorting = TraceSorting()
        sorting.tombstones = tombstones
        self.init(
            readers, sorting: sorting, compressionLevel: compressionLevel, blockSpans: blockSpans, skipping: skipping)
    }

    /// Runs to the end. The result has the class of `identity`; without a span it is an empty segment.
    mutating func run(
        _ identity: SegmentIdentity, compressionLevel: Int32, write: ([UInt8]) throws(DiskError) -> Void,
        pause: (UInt64) throws(MergeError) -> Void
    ) throws(MergeError) -> MergeResult {
        var alone = identity
        alone.siblings = []
        var result = try run(
            identity: { _ in alone }, write: { (_, bytes) throws(DiskError) in try write(bytes) },
            pause: pause)
        guard result.outputs.isEmpty else { return result }
        do {
            let summary = try SegmentEncoder(compressionLevel: compressionLevel).encode(
                [], identity: alone, write: write)
            result.outputs = [MergeResult.Output(identity: alone, summary: summary)]
        } catch { throw .disk(error) }
        return result
    }
}

extension MergeResult {
    /// Of the one result.
    var summary: SegmentSummary { outputs.first?.summary ?? SegmentSummary() }
}
