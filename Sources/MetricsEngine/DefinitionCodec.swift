internal import Bytes
internal import Synchronization
internal import Telemetry

/// Families, series and their starts as bodies of log records, and back.
///
/// Source: schemas/disk/metrics-log.md, "Records".
enum DefinitionCodec {
    private static let noLayout: UInt8 = 255
    /// The bounds follow: a list from a mapping file has another number in every process.
    static let ownLayout: UInt8 = 254
    /// In windows: the bounds of the family, and exponential buckets that are estimates.
    static let estimate: UInt8 = 253
    /// Layouts below this number are the same in every process.
    static let sharedLayouts: UInt8 = 2
    /// In the place of a series' family: the number is free.
    private static let vacancy = UInt64(SeriesRegistry.Series.removed)

    static func encode(_ families: [MetricFamily], keyNames: [String], base: Int) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(base))
        writer.writeVarint(UInt64(families.count))
        for (family, keyName) in zip(families, keyNames) {
            write(keyName, to: &writer)
            write(family.name, to: &writer)
            writer.write(family.kind.rawValue)
            write(family.help, to: &writer)
            write(family.buckets, to: &writer)
        }
        return MetricsLogRecord(kind: .families, body: writer.bytes)
    }

    private static func write(_ buckets: ClassicBuckets?, to writer: inout ByteWriter) {
        guard let buckets else { return writer.write(noLayout) }
        if buckets.isBuiltIn { return writer.write(buckets.rawValue) }
        writer.write(ownLayout)
        let bounds = buckets.bounds
        writer.writeVarint(UInt64(bounds.count))
        for bound in bounds { writer.write(bound.bitPattern) }
    }

    private static func readBuckets(_ reader: inout RecordReader) throws(RecordFault) -> ClassicBuckets? {
        let layout = try reader.byte()
        switch layout {
        case noLayout: return nil
        case ClassicBuckets.durations.rawValue: return .durations
        case ClassicBuckets.wide.rawValue: return .wide
        case ownLayout:
            var bounds: [Double] = []
            for _ in 0..<(try reader.count()) { bounds.append(try reader.double()) }
            let ascends = zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 } && bounds.allSatisfy(\.isFinite)
            guard ascends, let buckets = ClassicBuckets.of(bounds) else { throw .malformed }
            return buckets
        default: throw .malformed
        }
    }

    private static func write(_ text: String, to writer: inout ByteWriter) {
        writer.writeVarint(UInt64(text.utf8.count))
        writer.write(text)
    }

    static func encode(_ series: ArraySlice<SeriesRegistry.Series>, base: Int) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(base))
        writer.writeVarint(UInt64(series.count))
        for entry in series {
            writer.writeVarint(UInt64(entry.family))
            writer.writePrefixed(entry.labels)
        }
        return MetricsLogRecord(kind: .series, body: writer.bytes)
    }

    /// Takes families back; false when they are not the next ones or break the format.
    static func restoreFamilies(_ bytes: [UInt8], _ registry: borrowing Mutex<SeriesRegistry>) -> Bool {
        guard let (base, families) = try? decodeFamilies(bytes) else { return false }
        return registry.withLock { registry in
            guard base == registry.families.count else { return false }
            return families.allSatisfy { registry.restore($0.family, keyName: $0.keyName) }
        }
    }

    private static func decodeFamilies(
        _ bytes: [UInt8]
    ) throws(RecordFault) -> (base: Int, families: [(keyName: String, family: MetricFamily)]) {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        let base = try reader.unsigned()
        var families: [(keyName: String, family: MetricFamily)] = []
        for _ in 0..<(try reader.count()) {
            let keyName = try reader.string()
            let name = try reader.string()
            guard let kind = MetricFamilyKind(rawValue: try reader.byte()) else { throw .malformed }
            let help = try reader.string()
            let buckets = try readBuckets(&reader)
            guard (kind == .histogram) == (buckets != nil) else { throw .malformed }
            families.append((keyName, MetricFamily(name: name, kind: kind, help: help, buckets: buckets)))
        }
        guard reader.isAtEnd else { throw .malformed }
        return (Int(clamping: base), families)
    }

    /// Takes series back; false when they are not the next ones or break the format.
    static func restoreSeries(_ bytes: [UInt8], _ registry: borrowing Mutex<SeriesRegistry>) -> Bool {
        guard let (base, series) = try? decodeSeries(bytes) else { return false }
        return registry.withLock { registry in
            guard base == registry.series.count else { return false }
            return series.allSatisfy { entry in
                guard entry.family != vacancy else {
                    registry.restoreVacancy()
                    return entry.text.isEmpty
                }
                return registry.restoreSeries(family: entry.family, text: entry.text)
            }
        }
    }

    private static func decodeSeries(
        _ bytes: [UInt8]
    ) throws(RecordFault) -> (base: Int, series: [(family: UInt64, text: [UInt8])]) {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        let base = try reader.unsigned()
        var series: [(family: UInt64, text: [UInt8])] = []
        for _ in 0..<(try reader.count()) { series.append((try reader.unsigned(), try reader.text())) }
        guard reader.isAtEnd else { throw .malformed }
        return (Int(clamping: base), series)
    }

    /// The first series and the seconds of it and those after it; nil for a broken format.
    static func decodeSeconds(_ bytes: [UInt8]) -> (base: Int, seconds: [Int64])? {
        do {
            var reader = RecordReader(ByteReader(bytes.span.bytes))
            let base = try reader.unsigned()
            var seconds: [Int64] = []
            for _ in 0..<(try reader.count()) { seconds.append(try reader.signed()) }
            // No process can hold that many series; a larger base would not fit the sums made of it.
            guard reader.isAtEnd, base <= UInt64(UInt32.max) else { return nil }
            return (Int(base), seconds)
        } catch { return nil }
    }
}
