/// Names of files and folders in a data directory.
///
/// Source: schemas/disk/README.md.
package enum StorePath {
    package static let lock = "LOCK"
    package static let meta = "META"
    package static let manifest = "MANIFEST"
    package static let tombstones = "TOMBSTONES"
    package static let pins = "PINS"
    package static let walDirectory = "wal"
    package static let segmentDirectory = "segments"
    package static let quarantineDirectory = "quarantine"
    package static let metricsDirectory = "metrics"
    package static let metricsTally = "metrics/TALLY"
    package static let recorderDirectory = "recorder"
    package static let tenantsDirectory = "tenants"
    package static let ballast = "BALLAST"
    package static let draftSuffix = ".tmp"
    private static let walSuffix = ".wal"
    private static let segmentSuffix = ".seg"
    private static let metricsSuffix = ".mlog"
    private static let recorderSuffix = ".rec"

    package static func wal(firstSequence: UInt64) -> String { "\(walDirectory)/\(digits(firstSequence))\(walSuffix)" }

    package static func segment(first: UInt64, last: UInt64, id: UInt64, level: UInt8) -> String {
        "\(segmentDirectory)/\(digits(first))-\(digits(last))-\(digits(id)).L\(level)\(segmentSuffix)"
    }

    package static func metricsLog(number: UInt64) -> String { "\(metricsDirectory)/\(digits(number))\(metricsSuffix)" }

    /// The number in a metrics log's name; nil for any other name.
    package static func number(ofMetricsLog name: String) -> UInt64? {
        name.hasSuffix(metricsSuffix) ? number(name.dropLast(metricsSuffix.count)) : nil
    }

    package static func recorded(number: UInt64) -> String { "\(recorderDirectory)/\(digits(number))\(recorderSuffix)" }

    /// The number in a recorder segment's name; nil for any other name.
    package static func number(ofRecorded name: String) -> UInt64? {
        name.hasSuffix(recorderSuffix) ? number(name.dropLast(recorderSuffix.count)) : nil
    }

    /// The folder of a tenant's metrics: a data directory with `metrics`, `recorder` and `quarantine` alone.
    /// - Parameter name: as the file of tokens allows it, so that it is a name of a folder as it stands.
    package static func tenant(_ name: String) -> String { "\(tenantsDirectory)/\(name)" }

    package static func quarantine(_ name: String) -> String { "\(quarantineDirectory)/\(name)" }

    /// The first sequence in a WAL file's name; nil for any other name.
    package static func firstSequence(ofWAL name: String) -> UInt64? {
        guard name.hasSuffix(walSuffix) else { return nil }
        return number(name.dropLast(walSuffix.count))
    }

    /// The id in a segment's name; nil for any other name.
    package static func id(ofSegment name: String) -> UInt64? {
        guard name.hasSuffix(segmentSuffix), let dot = name.firstIndex(of: ".") else { return nil }
        let parts = name[..<dot].split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        return number(parts[2])
    }

    private static func digits(_ value: UInt64) -> String {
        let text = String(value)
        return String(repeating: "0", count: 20 - text.utf8.count) + text
    }

    private static func number(_ text: Substring) -> UInt64? {
        guard text.utf8.count == 20, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt64(text)
    }
}

extension Disk {
    /// Creates a draft, in place of one that an earlier attempt left.
    func createDraft(_ path: String) throws(DiskError) -> any DiskFile {
        do { return try create(path) } catch {
            guard error.isThere else { throw error }
        }
        try remove(path)
        return try create(path)
    }

    /// Writes a whole small file so that its name is absent, old or new after a crash at any point.
    func replace(_ path: String, with bytes: [UInt8], in directory: String) throws(DiskError) {
        let draft = path + StorePath.draftSuffix
        let file = try createDraft(draft)
        try file.append(bytes)
        try file.syncData()
        file.close()
        try rename(draft, to: path)
        try syncDirectory(directory)
    }

    /// All bytes of a small file.
    func readAll(_ path: String, limit: UInt64) throws(DiskError) -> [UInt8] {
        let file = try open(path)
        defer { file.close() }
        let size = try file.size()
        return try file.read(at: 0, count: Int(clamping: min(size, limit)))
    }
}
