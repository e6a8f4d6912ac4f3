import Telemetry
import TestKit
import Testing
import WireFormats

private typealias Samples = RemoteWriteSamples

@Suite("Remote write decoders")
struct RemoteWriteDecoderTests {
    private func native(_ fields: [UInt8]) throws -> RemoteWriteBatch.Histogram {
        let body = Samples.series(["__name__": "h"], Samples.field(4, fields))
        return try #require(try decodeRemoteWrite(body, version: .one).histograms.first)
    }

    private func exponential(_ histogram: RemoteWriteBatch.Histogram) -> ExponentialPoint? {
        guard case .exponential(let point) = histogram.content, histogram.defect == nil else { return nil }
        return point
    }

    @Test("A native histogram's spans and deltas become a row of counts")
    func nativeHistogram() throws {
        // Buckets 3, 4 and 6 with 1, 3 and 2.
        let spans =
            Samples.field(11, Samples.signed(1, 3) + Samples.field(2, Int64(2)))
            + Samples.field(11, Samples.signed(1, 1) + Samples.field(2, Int64(1)))
        let deltas = Samples.field(12, [1, 2, -1].flatMap(Samples.zigZag))
        let head =
            Samples.field(1, Int64(7)) + Samples.field(3, 9.5) + Samples.signed(4, 2) + Samples.field(6, Int64(1))
        let point = try #require(exponential(try native(head + spans + deltas + Samples.field(15, Int64(1_234)))))
        #expect(point.offset == 2 && point.counts == [1, 3, 0, 2] && point.scale == 2)
        #expect(point.count == 7 && point.sum == 9.5 && point.zeroCount == 1)
        // Of a float histogram the same, as long as counts are whole.
        let counts = Samples.field(13, [1.0, 3, 2].flatMap { Array(Samples.field(1, $0).dropFirst()) })
        let floats = Samples.field(2, 7.0) + Samples.field(3, 9.5) + Samples.signed(4, 2) + Samples.field(7, 1.0)
        #expect(exponential(try native(floats + spans + counts))?.counts == [1, 3, 0, 2])
        #expect(try native(Samples.field(2, 6.5) + spans + counts).defect == .badBuckets)
    }

    @Test("A long row is kept in wider buckets, exactly")
    func wideHistogram() throws {
        let spans =
            Samples.field(11, Samples.signed(1, -2_000) + Samples.field(2, Int64(1)))
            + Samples.field(11, Samples.signed(1, 4_000) + Samples.field(2, Int64(1)))
        let fields = Samples.field(1, Int64(3)) + Samples.signed(4, 8) + spans
        let point = try #require(exponential(try native(fields + Samples.field(12, [2, -1].flatMap(Samples.zigZag)))))
        #expect(point.scale == 6 && point.counts.count <= Limits.bucketsPerPoint)
        #expect(point.offset == -2_001 >> 2 && point.counts.first == 2 && point.counts.last == 1)
        #expect(point.counts.count == 2_000 >> 2 - -2_001 >> 2 + 1)
    }

    @Test("Custom bounds become a histogram by explicit bounds")
    func customBounds() throws {
        let bounds = Samples.field(16, [0.5, 1].flatMap { Array(Samples.field(1, $0).dropFirst()) })
        let span = Samples.field(11, Samples.signed(1, 0) + Samples.field(2, Int64(3)))
        let deltas = Samples.field(12, [1, 1, 1].flatMap(Samples.zigZag))
        let histogram = try native(Samples.field(1, Int64(6)) + Samples.signed(4, -53) + bounds + span + deltas)
        guard case .explicit(let point) = histogram.content else { throw WireError(.object, at: 0) }
        #expect(point.bounds == [0.5, 1] && point.counts == [1, 2, 3] && histogram.defect == nil)
    }

    @Test("Histograms that are not kept name the reason")
    func defects() throws {
        let one = Samples.field(1, Int64(1))
        let cases: [([UInt8], PointRejection)] = [
            (one + Samples.signed(4, 9), .badScale), (one + Samples.field(14, Int64(3)), .gaugeHistogram),
            (one + Samples.field(12, Samples.zigZag(1)), .badBuckets),
            (one + Samples.field(12, Samples.zigZag(-1)), .badBuckets),
            (one + Samples.field(11, Samples.field(2, Int64(4_000_000_000))), .badBuckets),
            (one + Samples.field(12, (0..<1_100).flatMap { _ in Samples.zigZag(1) }), .tooManyBuckets),
        ]
        for (fields, reason) in cases { #expect(try native(fields).defect == reason, "\(reason)") }
        let negative = try native(one + Samples.field(8, Samples.field(2, Int64(1))))
        guard case .exponential(let point) = negative.content else { throw WireError(.object, at: 0) }
        #expect(point.hasNegativeCounts)
    }

    @Test("A series with too many labels is marked and costs only itself")
    func labels() throws {
        let many = (0...Limits.attributesPerPoint).flatMap { number in
            Samples.field(1, Samples.field(1, "l\(number)") + Samples.field(2, "v"))
        }
        let body =
            Samples.field(1, many + Samples.field(2, Samples.sample(1, 1)))
            + Samples.series(["__name__": "a"], values: [(1, 1)])
        let batch = try decodeRemoteWrite(body, version: .one)
        #expect(batch.series.map(\.defect) == [.tooManyAttributes, nil])
        #expect(batch.series.map(\.samples) == [0..<1, 1..<2])
        let odd = Samples.request(symbols: ["a"], [Samples.field(1, [1] as [UInt8]), Samples.field(1, Int64(1))])
        #expect(try decodeRemoteWrite(odd, version: .two).series.map(\.defect) == [.badLabels, .badLabels])
    }

    @Test("Cut at any byte or with any bit flipped: the ranges stay inside, or an error points into the body")
    func everyCutAndFlip() {
        for (bodies, version) in [
            (RemoteWriteSamples.versionOne, RemoteWriteVersion.one), (RemoteWriteSamples.versionTwo, .two),
        ] {
            for body in bodies {
                let cuts = body.indices.map { Array(body.prefix($0)) }
                let flips = (0..<(body.count * 8)).map { bit in
                    var flipped = body
                    flipped[bit / 8] ^= 1 << (bit % 8)
                    return flipped
                }
                for damaged in cuts + flips { check(damaged, version) }
            }
        }
    }

    private func check(_ body: [UInt8], _ version: RemoteWriteVersion) {
        do {
            let batch = try decodeRemoteWrite(body, version: version)
            for series in batch.series {
                #expect(series.labels.upperBound <= batch.labels.count)
                #expect(series.samples.upperBound <= batch.samples.count)
                #expect(series.histograms.upperBound <= batch.histograms.count)
            }
            for label in batch.labels { _ = batch.bytes(label.name).count + batch.bytes(label.value).count }
        } catch { #expect((0...body.count).contains(error.offset)) }
    }

    @Test("A body of one version under the name of the other is refused, wherever its first field stands")
    func otherVersion() {
        for body in RemoteWriteSamples.versionTwo where !body.isEmpty {
            let error = #expect(throws: WireError.self) { try decodeRemoteWrite(body, version: .one) }
            #expect(error?.kind == .writeVersion2)
        }
        for body in RemoteWriteSamples.versionOne where !body.isEmpty {
            let error = #expect(throws: WireError.self) { try decodeRemoteWrite(body, version: .two) }
            #expect(error?.kind == .writeVersion1)
            let later = Samples.field(4, "") + body
            #expect(throws: WireError.self) { try decodeRemoteWrite(later, version: .two) }
        }
    }
}
