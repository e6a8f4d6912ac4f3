internal import Bytes
internal import Synchronization
internal import Telemetry

/// What the log says about series that were removed, and about numbers that have a series again.
///
/// Source: schemas/disk/metrics-log.md, "Records".
enum RemovalCodec {
    // MARK: Removed series

    /// - Parameter removed: ascending.
    static func encode(removed ids: [UInt32]) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(ids.count))
        var last: UInt32 = 0
        for id in ids {
            writer.writeVarint(UInt64(id - last))
            last = id
        }
        return MetricsLogRecord(kind: .removed, body: writer.bytes)
    }

    /// The removed series; nil when one of them is not there or the format is broken.
    static func decodeRemoved(_ bytes: [UInt8], for store: borrowing MetricsStore) -> [UInt32]? {
        do throws(RecordFault) {
            var reader = RecordReader(ByteReader(bytes.span.bytes), seriesCount: store.seriesCount)
            var ids: [UInt32] = []
            var last: UInt64 = 0
            for _ in 0..<(try reader.count()) {
                let id = try reader.series(&last)
                guard !store.isVacant(Int(id)), ids.last.map({ $0 < id }) ?? true else { throw .malformed }
                ids.append(id)
            }
            return reader.isAtEnd ? ids : nil
        } catch { return nil }
    }

    // MARK: Numbers in use again

    static func encode(reused: [(id: UInt32, series: SeriesRegistry.Series)]) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(reused.count))
        for (id, series) in reused {
            writer.writeVarint(UInt64(id))
            writer.writeVarint(UInt64(series.family))
            writer.writePrefixed(series.labels)
        }
        return MetricsLogRecord(kind: .reused, body: writer.bytes)
    }

    /// Takes the series back; false when a number is not free or the format is broken.
    static func restoreReused(_ bytes: [UInt8], _ registry: borrowing Mutex<SeriesRegistry>) -> Bool {
        guard let entries = try? decodeReused(bytes) else { return false }
        return registry.withLock { registry in
            entries.allSatisfy { registry.restoreSeries(family: $0.family, text: $0.text, id: $0.id) }
        }
    }

    private static func decodeReused(
        _ bytes: [UInt8]
    ) throws(RecordFault) -> [(id: UInt32, family: UInt64, text: [UInt8])] {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        var entries: [(id: UInt32, family: UInt64, text: [UInt8])] = []
        for _ in 0..<(try reader.count()) {
            guard let id = UInt32(exactly: try reader.unsigned()) else { throw .malformed }
            entries.append((id, try reader.unsigned(), try reader.text()))
        }
        guard reader.isAtEnd else { throw .malformed }
        return entries
    }

    // MARK: Expiry times of rules

    static func encode(lifetimes: [SeriesLifetime]) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(lifetimes.count))
        for lifetime in lifetimes {
            writer.writeVarint(UInt64(lifetime.series))
            writer.writeVarint(UInt64(max(lifetime.seconds, 0)))
        }
        return MetricsLogRecord(kind: .lifetimes, body: writer.bytes)
    }

    /// Nil when a series is not there or the format is broken.
    static func decodeLifetimes(_ bytes: [UInt8], seriesCount: Int) -> [SeriesLifetime]? {
        do throws(RecordFault) {
            var reader = RecordReader(ByteReader(bytes.span.bytes), seriesCount: seriesCount)
            var lifetimes: [SeriesLifetime] = []
            for _ in 0..<(try reader.count()) {
                var none: UInt64 = 0
                let series = try reader.series(&none)
                guard let seconds = Int64(exactly: try reader.unsigned()) else { return nil }
                lifetimes.append(SeriesLifetime(series: series, seconds: seconds))
            }
            return reader.isAtEnd ? lifetimes : nil
        } catch { return nil }
    }

    // MARK: Last updates

    static func encode(lastUpdates seconds: [Int64], base: Int) -> MetricsLogRecord {
        var writer = ByteWriter()
        writer.writeVarint(UInt64(base))
        writer.writeVarint(UInt64(seconds.count))
        for second in seconds { writer.writeVarint(zigzagEncoded(second)) }
        return MetricsLogRecord(kind: .updates, body: writer.bytes)
    }

    // MARK: Remembered values

    /// The values, the oldest first, `chunk` to a record.
    static func encode(_ remembered: RememberedTotals, chunk: Int) -> [MetricsLogRecord] {
        let all = remembered.all
        var records: [MetricsLogRecord] = []
        var first = 0
        while first < all.count {
            let part = all[first..<min(first + chunk, all.count)]
            var writer = ByteWriter(reserving: 40 + part.count * 40)
            for secret in remembered.secrets { writer.write(secret) }
            writer.writeVarint(UInt64(part.count))
            for (key, total) in part {
                for field in [key.first, key.second, total.value.bitPattern] { writer.write(field) }
                writer.writeVarint(zigzagEncoded(total.start))
                writer.writeVarint(zigzagEncoded(total.lastUpdate))
            }
            records.append(MetricsLogRecord(kind: .remembered, body: writer.bytes))
            first += chunk
        }
        return records
    }

    static func restoreRemembered(_ bytes: [UInt8], _ remembered: inout RememberedTotals) -> Bool {
        guard let (secrets, totals) = try? decodeRemembered(bytes), remembered.adopt(secrets: secrets) else {
            return false
        }
        for (key, total) in totals { remembered.remember(total, for: key) }
        return true
    }

    private typealias Entry = (key: RememberedTotals.Key, total: RememberedTotals.Total)

    private static func decodeRemembered(
        _ bytes: [UInt8]
    ) throws(RecordFault) -> (secrets: [UInt64], totals: [Entry]) {
        var reader = RecordReader(ByteReader(bytes.span.bytes))
        var secrets: [UInt64] = []
        for _ in 0..<4 { secrets.append(try reader.double().bitPattern) }
        var totals: [Entry] = []
        for _ in 0..<(try reader.count()) {
            let key = RememberedTotals.Key(
                first: try reader.double().bitPattern, second: try reader.double().bitPattern)
            let total = RememberedTotals.Total(
                value: try reader.double(), start: try reader.signed(), lastUpdate: try reader.signed())
            totals.append((key, total))
        }
        guard reader.isAtEnd else { throw .malformed }
        return (secrets, totals)
    }
}
