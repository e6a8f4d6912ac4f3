internal import Bytes
internal import MetricsEngine
internal import SegmentStore
internal import Telemetry

/// What a damaged disk gives back behind checksums that hold.
extension FuzzTarget {
    /// The small files beside the segments; each is read by the decoder of every kind.
    static let storeFiles = FuzzTarget(
        name: "store-files",
        seeds: {
            var manifest = Manifest(storeID: StoreFiles.storeID)
            manifest.stored = 9
            return [
                StoreMeta(storeID: StoreFiles.storeID, created: 1).encoded(), manifest.encoded(),
                Snapshot(manifest, created: 5).encoded(), Tombstones().encoded(storeID: StoreFiles.storeID),
                Pins().encoded(storeID: StoreFiles.storeID),
            ]
        },
        check: { input in
            // The checksums of META, of MANIFEST's head, of SNAPSHOT, and the one at the end of the others.
            for sum in [60, 132, 76, input.count - 4] where sum >= 0 && sum + 4 <= input.count {
                var bytes = input
                let crc = crc32c(Array(bytes[..<sum]))
                for index in 0..<4 { bytes[sum + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
                StoreFiles.decode(bytes)
            }
            StoreFiles.decode(input)
            return nil
        })

    /// Records of the metrics log, `kind, length u16, body`, taken back one after another, and then shown.
    static let metricsLog = FuzzTarget(
        name: "metrics-log",
        seeds: {
            let engine = MetricsEngine()
            let shard = engine.makeShard()
            for (name, kind) in [("a", MetricKind.counter), ("b", .gauge), ("c", .timer), ("d", .set)] {
                let labels = [MetricLabel("service", "shop")]
                let sample = MetricSample(
                    value: 1, weight: 1, kind: kind, isDelta: false,
                    member: UnsafeRawBufferPointer(start: nil, count: 0))
                shard.record(sample, to: engine.register(name: Array(name.utf8), labels: labels, kind: kind))
            }
            shard.flush(nowNanoseconds: 5_000_000_000)
            engine.advance(nowNanoseconds: 6_000_000_000)
            var input: [UInt8] = []
            engine.forEachStateRecord { record in
                let count = UInt16(clamping: record.body.count)
                input += [record.kind.rawValue, UInt8(count & 255), UInt8(count >> 8)] + record.body
                return true
            }
            return [input]
        },
        check: { input in
            let engine = MetricsEngine()
            var rest = input[...]
            while rest.count >= 3, let kind = MetricsLogRecord.Kind(rawValue: rest[rest.startIndex]) {
                let length = Int(rest[rest.startIndex + 1]) | Int(rest[rest.startIndex + 2]) << 8
                rest = rest.dropFirst(3)
                _ = engine.restore(MetricsLogRecord(kind: kind, body: Array(rest.prefix(length))))
                rest = rest.dropFirst(length)
            }
            engine.advance(nowNanoseconds: 7_000_000_000)
            engine.forEachStateRecord { _ in true }
            return nil
        })

    /// The content of an array or a map in a span, as it lies in a batch.
    static let nestedValue = FuzzTarget(
        name: "nested-value",
        seeds: {
            let values: [AttributeValue] = [
                .int(-1), .string("Grüße"), .double(.nan), .bool(true), .bytes([0, 255]), .empty,
                .array([.map([Attribute("k", .array([.int(1)]))])]),
            ]
            return [
                NestedValue.encode(array: values),
                NestedValue.encode(map: values.map { Attribute("key", $0) }),
            ]
        },
        check: { input in
            for type in AttributeType.allCases {
                guard let value = NestedValue.decode(type, content: input) else { continue }
                switch value {
                case .array(let elements):
                    if NestedValue.decode(.array, content: NestedValue.encode(array: elements)) == nil {
                        return "what was read cannot be written"
                    }
                case .map(let entries):
                    if NestedValue.decode(.map, content: NestedValue.encode(map: entries)) == nil {
                        return "what was read cannot be written"
                    }
                default: break
                }
            }
            return nil
        })
}

private enum StoreFiles {
    static let storeID = [UInt8](0..<16)

    static func decode(_ bytes: [UInt8]) {
        _ = try? StoreMeta.decode(bytes)
        _ = try? Manifest.decode(bytes)
        _ = try? Snapshot.decode(bytes)
        _ = try? Tombstones.decode(bytes, storeID: storeID)
        _ = try? Pins.decode(bytes, storeID: storeID)
    }
}
