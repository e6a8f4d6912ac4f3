internal import Bytes
internal import Telemetry
internal import TestKit
internal import WireFormats

/// Remote write: no trap, refusals that point into the body, ranges that lie inside their arrays, limits that hold.
extension FuzzTarget {
    static let snappy = FuzzTarget(
        name: "snappy",
        seeds: {
            ["", "ababababababababab", String(repeating: "midnight promo ", count: 30)].map {
                SnappyEncoder.encode(Array($0.utf8))
            }
        },
        check: { input in
            input.withUnsafeBytes { bytes in
                guard let plain = try? snappyInflated(bytes, limit: 1 << 16) else { return nil }
                let again = SnappyEncoder.encode(plain)
                let same = again.withUnsafeBytes { (try? snappyInflated($0, limit: 1 << 16)) == plain }
                return same ? nil : "does not come back"
            }
        })

    static let remoteWrite = FuzzTarget(
        name: "remote-write", seeds: { RemoteWriteSamples.versionOne }, check: { defect(of: $0, .one) })

    static let remoteWrite2 = FuzzTarget(
        name: "remote-write-2", seeds: { RemoteWriteSamples.versionTwo }, check: { defect(of: $0, .two) })
}

private func defect(of input: [UInt8], _ version: RemoteWriteVersion) -> String? {
    let batch: RemoteWriteBatch
    do { batch = try decodeRemoteWrite(input, version: version) } catch {
        return (0...input.count).contains(error.offset) ? nil : "offset \(error.offset) of \(input.count)"
    }
    var place = (labels: 0, samples: 0, histograms: 0, exemplars: 0)
    for series in batch.series {
        let begins =
            series.labels.lowerBound == place.labels && series.samples.lowerBound == place.samples
            && series.histograms.lowerBound == place.histograms && series.exemplars.lowerBound == place.exemplars
        guard begins else { return "a series does not begin where the last one ends" }
        place = (
            series.labels.upperBound, series.samples.upperBound, series.histograms.upperBound,
            series.exemplars.upperBound
        )
        if series.labels.count > Limits.attributesPerPoint { return "too many labels" }
    }
    for histogram in batch.histograms {
        guard case .exponential(let point) = histogram.content else { continue }
        if point.counts.count > Limits.bucketsPerPoint { return "too many buckets" }
    }
    for label in batch.labels {
        for text in [label.name, label.value] where String(validating: batch.bytes(text), as: UTF8.self) == nil {
            return "a text that is no UTF-8"
        }
    }
    return nil
}
