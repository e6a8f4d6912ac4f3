/// A WAL file in numbers: every group read, every damaged range named.
package struct WALFacts: Hashable, Sendable {
    /// Bytes of no valid group, and what stands around them.
    package struct Damage: Hashable, Sendable {
        package let bytes: Range<UInt64>
        /// The group's own header, when that is whole.
        package let group: WALGroupHeader?
        /// Whole records among the bytes.
        package let looseRecords: Int
        /// The sequence after the last valid group before; nil when the file's header is damaged.
        package let expected: UInt64?
        /// The first sequence of the next valid group in the file.
        package fileprivate(set) var next: UInt64?
        /// Wall time of the valid groups before and after.
        package let wallBefore: UInt64?
        package fileprivate(set) var wallAfter: UInt64?
    }

    package let path: String
    package let byteCount: UInt64
    /// Nil when both copies are damaged: nothing else of the file can be read then.
    package private(set) var header: WALFileHeader?
    /// Bytes of the one copy of the header that is damaged.
    package private(set) var damagedHeader: Range<UInt64>?
    package private(set) var groups = 0
    /// Groups without records.
    package private(set) var witnesses = 0
    package private(set) var records = 0
    package private(set) var spans: UInt64 = 0
    package private(set) var firstSequence: UInt64?
    package private(set) var lastSequence: UInt64?
    package private(set) var firstWall: UInt64?
    package private(set) var lastWall: UInt64?
    package private(set) var damages: [Damage] = []

    /// Reads the whole file; changes nothing.
    package init(_ path: String, _ disk: any Disk) throws(DiskError) {
        self.path = path
        let file = try disk.open(path)
        defer { file.close() }
        byteCount = try file.size()
        do throws(WALOpenError) { header = try WALScanner.header(of: file, size: byteCount) } catch {
            if case .disk(let error) = error { throw error }
        }
        guard let header else {
            damages = [
                Damage(
                    bytes: 0..<byteCount, group: nil, looseRecords: 0, expected: nil, next: nil, wallBefore: nil,
                    wallAfter: nil)
            ]
            return
        }
        if byteCount >= UInt64(WALFormat.firstGroup) {
            damagedHeader = try WALScanner.damagedCopy(of: header, in: file)
        }
        var scanner = WALScanner(file, size: byteCount, salt: header.salt)
        while let item = try scanner.next() { take(item, header) }
    }

    private mutating func take(_ item: WALItem, _ header: WALFileHeader) {
        switch item {
        case .group(let group, let found, _, _):
            for index in damages.indices where damages[index].next == nil {
                damages[index].next = group.firstSequence
                damages[index].wallAfter = group.wall
            }
            groups += 1
            if found.isEmpty { witnesses += 1 }
            records += found.count
            spans &+= UInt64(group.spanCount)
            if let first = found.first { firstSequence = firstSequence ?? first.header.sequence }
            if let last = found.last { lastSequence = last.header.sequence }
            firstWall = firstWall ?? group.wall
            lastWall = group.wall
        case .damage(let range, let group, let loose):
            damages.append(
                Damage(
                    bytes: range, group: group, looseRecords: loose.count,
                    expected: lastSequence.map { $0 &+ 1 } ?? header.firstSequence, next: nil, wallBefore: lastWall,
                    wallAfter: nil))
        }
    }

    /// Every WAL file of a directory, oldest first, and those that cannot be read.
    package static func list(_ disk: any Disk) throws(DiskError) -> (files: [WALFacts], unreadable: [StoreFinding]) {
        var files: [WALFacts] = []
        var unreadable: [StoreFinding] = []
        for entry in try disk.list(StorePath.walDirectory)
        where entry.isRegularFile && StorePath.firstSequence(ofWAL: entry.name) != nil {
            let path = "\(StorePath.walDirectory)/\(entry.name)"
            do throws(DiskError) { files.append(try WALFacts(path, disk)) } catch {
                unreadable.append(StoreFinding(path, error.description))
            }
        }
        return (files, unreadable)
    }
}
