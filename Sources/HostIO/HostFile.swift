internal import CLinux
internal import Glibc
internal import SegmentStore
internal import Synchronization

/// An open file descriptor.
final class HostFile: DiskFile {
    let descriptor: Int32
    private let path: String
    private let isClosed = Atomic<Bool>(false)

    /// Pieces one pwritev takes (IOV_MAX).
    private static let piecesPerCall = 1024

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close() }

    func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        _ = Glibc.close(descriptor)
    }

    private func failure(_ call: DiskCall) -> DiskError { DiskError(call: call, path: path, code: errno) }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        guard let start = Int(exactly: offset), count >= 0 else {
            throw DiskError(call: .read, path: path, code: EINVAL)
        }
        // Asked of the kernel before memory is taken: a length from a damaged file may be anything.
        if count > 1 << 20 {
            let size = try size()
            guard start <= Int.max - count, UInt64(start + count) <= size else {
                throw DiskError(call: .read, path: path, code: DiskError.unexpectedEnd)
            }
        }
        var code: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, written in
            while written < count, let base = buffer.baseAddress {
                let got = retrying { pread(descriptor, base + written, count - written, start + written) }
                guard got > 0 else {
                    code = got == 0 ? DiskError.unexpectedEnd : errno
                    return
                }
                written += got
            }
        }
        guard code == 0 else { throw DiskError(call: .read, path: path, code: code) }
        return bytes
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        var vectors: [iovec] = []
        vectors.reserveCapacity(pieces.count)
        for piece in pieces where piece.count > 0 {
            vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: piece.baseAddress), iov_len: piece.count))
        }
        var first = 0
        while first < vectors.count {
            let count = min(vectors.count - first, Self.piecesPerCall)
            var written = vectors.withUnsafeBufferPointer { buffer in
                retrying { writev(descriptor, buffer.baseAddress.map { $0 + first }, Int32(count)) }
            }
            guard written > 0 else {
                throw written == 0 ? DiskError(call: .append, path: path, code: EIO) : failure(.append)
            }
            while first < vectors.count, written >= vectors[first].iov_len {
                written -= vectors[first].iov_len
                first += 1
            }
            if written > 0 {
                vectors[first].iov_base += written
                vectors[first].iov_len -= written
            }
        }
    }

    func syncData() throws(DiskError) {
        guard fdatasync(descriptor) == 0 else { throw failure(.syncData) }
    }

    func preallocate(_ bytes: UInt64) throws(DiskError) {
        let end = Int64(clamping: try size())
        let code = -clinux_preallocate(descriptor, end, Int64(clamping: bytes))
        if code != 0, code != EOPNOTSUPP, code != ENOSYS, code != EINVAL, code != EINTR {
            throw DiskError(call: .preallocate, path: path, code: code)
        }
    }

    func size() throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(.size) }
        return UInt64(clamping: status.st_size)
    }
}
