internal import CZlib

/// The framing around a deflate stream.
package enum DeflateFraming: Sendable {
    case gzip
    /// RFC 1950, what HTTP calls `deflate`.
    case zlib

    fileprivate var windowBits: Int32 {
        switch self {
        case .gzip: 15 + 16
        case .zlib: 15
        }
    }
}

/// Inflates a gzip stream (all members, at most ``InflateBounds/members``) or a zlib one; never produces more than `limit`
/// bytes. Anything behind the stream is malformed.
package func inflated(
    _ source: UnsafeRawBufferPointer, framing: DeflateFraming, limit: Int
) throws(InflateError) -> [UInt8] {
    guard source.count <= Int(UInt32.max), let base = source.baseAddress else { throw .malformed }
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    guard inflateInit2_(&stream, framing.windowBits, ZLIB_VERSION, size) == Z_OK else { throw .malformed }
    defer { _ = inflateEnd(&stream) }
    stream.next_in = UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: UInt8.self))
    stream.avail_in = UInt32(source.count)
    var output: [UInt8] = []
    output.reserveCapacity(min(limit, source.count * 4))
    var members = 1
    var chunk = [UInt8](repeating: 0, count: 64 << 10)
    while true {
        var produced = 0
        let status = chunk.withUnsafeMutableBufferPointer { buffer in
            stream.next_out = buffer.baseAddress
            stream.avail_out = UInt32(buffer.count)
            let status = inflate(&stream, Z_NO_FLUSH)
            produced = buffer.count - Int(stream.avail_out)
            return status
        }
        guard output.count + produced <= limit else { throw .tooLarge(limit: limit) }
        output.append(contentsOf: chunk[..<produced])
        switch status {
        case Z_OK:
            guard produced > 0 || stream.avail_in > 0 else { throw .malformed }
        case Z_STREAM_END:
            guard stream.avail_in > 0 else { return output }
            guard case .gzip = framing, members < InflateBounds.members, inflateReset(&stream) == Z_OK else {
                throw .malformed
            }
            members += 1
        default:
            throw .malformed
        }
    }
}

/// One gzip member holding `source`, or nil when zlib had no memory. Level 1 is what scrapes use.
package func gzipped(_ source: [UInt8], level: Int32 = 1) -> [UInt8]? {
    guard source.count <= Int(UInt32.max) else { return nil }
    var stream = z_stream()
    let size = Int32(MemoryLayout<z_stream>.size)
    let started = deflateInit2_(
        &stream, level, Z_DEFLATED, DeflateFraming.gzip.windowBits, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, size)
    guard started == Z_OK else { return nil }
    defer { _ = deflateEnd(&stream) }
    let bound = Int(deflateBound(&stream, UInt(source.count)))
    let output = source.withUnsafeBufferPointer { input in
        [UInt8](unsafeUninitializedCapacity: bound) { buffer, written in
            stream.next_in = UnsafeMutablePointer(mutating: input.baseAddress)
            stream.avail_in = UInt32(input.count)
            stream.next_out = buffer.baseAddress
            stream.avail_out = UInt32(buffer.count)
            written = deflate(&stream, Z_FINISH) == Z_STREAM_END ? buffer.count - Int(stream.avail_out) : 0
        }
    }
    return output.isEmpty ? nil : output
}
