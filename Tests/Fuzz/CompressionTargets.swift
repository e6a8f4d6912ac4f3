internal import Bytes

/// The inflaters: no trap, and never more than the limit, whatever the stream announces.
extension FuzzTarget {
    static let gzip = FuzzTarget(
        name: "gzip",
        seeds: {
            let small = gzipped(Array("midnight promo midnight promo".utf8)) ?? []
            let large = gzipped([UInt8](repeating: 7, count: 300_000)) ?? []
            // zlib's framing around the same deflate stream; its checksum is wrong, which mutations mend as little.
            return [small, small + small, large, [0x78, 0x9c] + small.dropFirst(10)]
        },
        check: { input in
            input.withUnsafeBytes { bytes in
                for framing in [DeflateFraming.gzip, .zlib] {
                    if let plain = try? inflated(bytes, framing: framing, limit: inflateLimit),
                        plain.count > inflateLimit
                    {
                        return "\(plain.count) bytes came out"
                    }
                }
                return nil
            }
        })

    static let zstd = FuzzTarget(
        name: "zstd",
        seeds: {
            let texts = [Array("midnight promo midnight promo".utf8), [UInt8](repeating: 7, count: 300_000)]
            let frames = texts.map { text in
                var frame: [UInt8] = []
                _ = text.withUnsafeBytes { ZstdCompressor(level: 3).append($0, to: &frame) }
                return frame
            }
            // A skippable frame in between.
            return frames + [frames[0] + [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9] + frames[0]]
        },
        check: { input in
            input.withUnsafeBytes { bytes in
                guard let plain = try? zstdInflated(bytes, limit: inflateLimit) else { return nil }
                return plain.count > inflateLimit ? "\(plain.count) bytes came out" : nil
            }
        })
}

private let inflateLimit = 256 << 10
