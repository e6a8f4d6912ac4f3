internal import CZstd

/// Why bytes could not be inflated.
package enum InflateError: Error, Hashable, Sendable {
    /// Not a valid frame, or cut short.
    case malformed
    /// More than `limit` bytes would come out; nothing beyond it was produced.
    case tooLarge(limit: Int)
}

/// A reusable zstd compressor (one context, single-threaded use).
package final class ZstdCompressor {
    private let context: OpaquePointer?
    private let level: Int32

    package init(level: Int32) {
        self.context = ZSTD_createCCtx()
        self.level = level
    }

    deinit { _ = ZSTD_freeCCtx(context) }

    /// Appends one frame holding `source` to `target` and returns the bytes added; nil when zstd had no memory.
    package func append(_ source: UnsafeRawBufferPointer, to target: inout [UInt8]) -> Int? {
        guard let context = context else { return nil }
        let bound = ZSTD_compressBound(source.count)
        let frame = [UInt8](unsafeUninitializedCapacity: bound) { buffer, written in
            let size = ZSTD_compressCCtx(
                context, buffer.baseAddress, buffer.count, source.baseAddress, source.count, level)
            written = ZSTD_isError(size) == 0 ? size : 0
        }
        guard !frame.isEmpty else { return nil }
        target.append(contentsOf: frame)
        return frame.count
    }

    /// Writes one frame holding `source` into `target` and returns its size; nil when it does not fit there.
    package func compress(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard let context = context else { return nil }
        let size = ZSTD_compressCCtx(
            context, target.baseAddress, target.count, source.baseAddress, source.count, level)
        return ZSTD_isError(size) == 0 ? size : nil
    }
}

/// A reusable zstd decompressor (one context, single-threaded use).
package final class ZstdDecompressor {
    private let context: OpaquePointer?

    package init() { context = ZSTD_createDCtx() }

    deinit { _ = ZSTD_freeDCtx(context) }

    /// Inflates one frame into `target` and returns the bytes written; nil for damage or a frame that needs more room.
    package func inflate(
        _ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
    ) -> Int? {
        guard let context = context else { return nil }
        let size = ZSTD_decompressDCtx(
            context, target.baseAddress, target.count, source.baseAddress, source.count)
        return ZSTD_isError(size) == 0 ? size : nil
    }
}

/// Bounds of streams that come from strangers, besides the bytes that come out.
package enum InflateBounds {
    /// Members of a gzip stream, frames of a zstd one; each costs work even when it holds nothing. More: malformed.
    package static let members = 1_024
    /// The logarithm of the largest window of zstd: 8 MiB, what RFC 8878 asks of every decoder. Larger: malformed.
    package static let windowLog: Int32 = 23
}

/// Inflates a zstd stream of one or more frames; never produces more than `limit` bytes, nor keeps a window beyond
/// ``InflateBounds/windowLog``.
package func zstdInflated(_ source: UnsafeRawBufferPointer, limit: Int) throws(InflateError) -> [UInt8] {
    guard let context = ZSTD_createDCtx() else { throw .malformed }
    defer { _ = ZSTD_freeDCtx(context) }
    guard ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, InflateBounds.windowLog)) == 0 else {
        throw .malformed
    }
    var output: [UInt8] = []
    var frames = 0
    let declared = ZSTD_getFrameContentSize(source.baseAddress, source.count)
    if declared < UInt64(limit) { output.reserveCapacity(Int(declared)) }
    let chunkBytes = ZSTD_DStreamOutSize()
    var chunk = [UInt8](repeating: 0, count: chunkBytes)
    var input = ZSTD_inBuffer(src: source.baseAddress, size: source.count, pos: 0)
    var pending = 1
    while input.pos < input.size || pending != 0 {
        let before = input.pos
        var produced = 0
        pending = chunk.withUnsafeMutableBytes { buffer in
            var out = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
            let hint = ZSTD_decompressStream(context, &out, &input)
            produced = out.pos
            return hint
        }
        guard ZSTD_isError(pending) == 0 else { throw .malformed }
        guard output.count + produced <= limit else { throw .tooLarge(limit: limit) }
        output.append(contentsOf: chunk[..<produced])
        if pending == 0 {
            frames += 1
            guard frames <= InflateBounds.members else { throw .malformed }
        }
        if produced == 0, input.pos == before {
            if pending == 0 { break }
            throw .malformed
        }
    }
    return output
}

/// Inflates one frame whose plain size is known, as in our own files; a different size is an error.
package func zstdInflated(_ source: UnsafeRawBufferPointer, exactly count: Int) throws(InflateError) -> [UInt8] {
    var size = 0
    let output = [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
        size = ZSTD_decompress(buffer.baseAddress, buffer.count, source.baseAddress, source.count)
        written = ZSTD_isError(size) == 0 ? size : 0
    }
    guard ZSTD_isError(size) == 0, output.count == count else { throw .malformed }
    return output
}
