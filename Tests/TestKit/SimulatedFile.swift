internal import SegmentStore
internal import Synchronization

final class SimulatedFile: DiskFile {
    private let disk: SimulatedDisk
    private let node: SimulatedDisk.Node
    private let path: String
    private let holdsLock: Bool

    init(_ disk: SimulatedDisk, _ node: SimulatedDisk.Node, _ path: String, holdsLock: Bool = false) {
        self.disk = disk
        self.node = node
        self.path = path
        self.holdsLock = holdsLock
    }

    deinit { close() }

    func close() {
        guard holdsLock else { return }
        disk.state.withLock { _ = $0.lockedPaths.remove(path) }
    }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        try disk.enter(.read, path)
        let bytes: [UInt8]? = node.content.withLock { content in
            guard offset <= UInt64(content.bytes.count), count <= content.bytes.count - Int(offset) else { return nil }
            return Array(content.bytes[Int(offset)..<Int(offset) + count])
        }
        guard let bytes else { throw DiskError(call: .read, path: path, code: DiskError.unexpectedEnd) }
        return bytes
    }

    /// A failing append leaves half of its bytes; a full disk what fits.
    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        let total = pieces.reduce(0) { $0 + $1.count }
        var failure: DiskError?
        do { try disk.enter(.append, path) } catch { failure = error }
        let isStopped = disk.state.withLock { state in state.options.crashAt.map { state.callCount > $0 } ?? false }
        if isStopped, let failure { throw failure }
        let capacity = disk.state.withLock { $0.options.capacity }
        let reserved = node.content.withLock { max(0, $0.preallocatedEnd - $0.bytes.count) }
        let free = Int(clamping: capacity) - Int(clamping: disk.usedBytes) + reserved
        if failure == nil, total > free { failure = DiskError(call: .append, path: path, code: 28) }
        var left = failure == nil ? total : min(total / 2, max(free, 0))
        node.content.withLock { content in
            for piece in pieces {
                let count = min(left, piece.count)
                content.bytes.append(contentsOf: piece.prefix(count))
                left -= count
            }
        }
        if let failure { throw failure }
    }

    /// After a failure the bytes count as written out, as on ext4: a later sync would wrongly succeed.
    func syncData() throws(DiskError) {
        try disk.enter(.syncData, path)
        node.content.withLock { $0.syncedCount = $0.bytes.count }
    }

    func preallocate(_ bytes: UInt64) throws(DiskError) {
        try disk.enter(.preallocate, path)
        let options = disk.state.withLock { $0.options }
        guard options.countsPreallocated else { return }
        let used = disk.usedBytes
        guard options.capacity >= used, options.capacity - used >= bytes else {
            throw DiskError(call: .preallocate, path: path, code: 28)
        }
        node.content.withLock { $0.preallocatedEnd = $0.bytes.count + Int(clamping: bytes) }
    }

    func size() throws(DiskError) -> UInt64 {
        try disk.enter(.size, path)
        return UInt64(node.content.withLock { $0.bytes.count })
    }
}
