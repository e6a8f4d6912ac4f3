internal import Telemetry

/// A segment in numbers, from its footer.
package struct SegmentFacts: Hashable, Sendable {
    package let path: String
    package let identity: SegmentIdentity
    package let summary: SegmentSummary
    package let blocks: Int

    init(_ reader: SegmentReader, path: String) {
        self.path = path
        identity = reader.identity
        summary = reader.summary
        blocks = reader.blockCount
    }

    static func open(_ path: String, _ disk: any Disk) throws(SegmentError) -> any DiskFile {
        do { return try disk.open(path) } catch { throw .disk(error) }
    }

    /// Every segment of a directory that nobody has open, in the order of their names, and those that cannot be read.
    package static func list(_ disk: any Disk) throws(DiskError) -> (
        segments: [SegmentFacts], unreadable: [StoreFinding]
    ) {
        var segments: [SegmentFacts] = []
        var unreadable: [StoreFinding] = []
        for entry in try disk.list(StorePath.segmentDirectory) where StorePath.id(ofSegment: entry.name) != nil {
            let path = "\(StorePath.segmentDirectory)/\(entry.name)"
            do throws(SegmentError) {
                segments.append(SegmentFacts(try SegmentReader(file: try open(path, disk), name: path), path: path))
            } catch { unreadable.append(StoreFinding(path, error.description)) }
        }
        return (segments, unreadable)
    }
}
