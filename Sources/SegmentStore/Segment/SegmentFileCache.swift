internal import Synchronization

/// The open files of a store's segments: at most so many descriptors, however many segments there are.
///
/// A segment is opened when it is read, and closed when as many others have been read since. A file that is being read
/// stays open until the read ends.
final class SegmentFileCache: Sendable {
    private struct Entry {
        let file: any DiskFile
        var turn: UInt64
    }

    private struct Content {
        var open: [UInt64: Entry] = [:]
        var turn: UInt64 = 0
        var nextID: UInt64 = 0
    }

    private let disk: any Disk
    private let limit: Int
    private let content = Mutex(Content())

    init(_ disk: any Disk, limit: Int) {
        self.disk = disk
        self.limit = max(1, limit)
    }

    /// A segment's file by its name; nothing is opened yet.
    func file(_ path: String) -> SegmentFile {
        let id = content.withLock { content in
            content.nextID &+= 1
            return content.nextID
        }
        return SegmentFile(path: path, id: id, cache: self)
    }

    /// Descriptors in use now.
    var openCount: Int { content.withLock { $0.open.count } }

    /// The open file behind `file`, opened if need be.
    fileprivate func open(_ file: SegmentFile) throws(DiskError) -> any DiskFile {
        if let found = known(file) { return found }
        let opened = try openAnew(file.path)
        // Whatever leaves is closed outside of the lock, by its last reader.
        let leaving: (any DiskFile)? = content.withLock { content in
            content.turn &+= 1
            content.open[file.id] = Entry(file: opened, turn: content.turn)
            guard content.open.count > limit else { return nil }
            return Self.removeOldest(&content)
        }
        _ = leaving
        return opened
    }

    private func known(_ file: SegmentFile) -> (any DiskFile)? {
        content.withLock { content in
            content.turn &+= 1
            content.open[file.id]?.turn = content.turn
            return content.open[file.id]?.file
        }
    }

    /// Opens; when the process has no descriptor left, once more without those that are only kept for later.
    private func openAnew(_ path: String) throws(DiskError) -> any DiskFile {
        do { return try disk.open(path) } catch {
            guard error.isOutOfDescriptors else { throw error }
        }
        let kept = content.withLock { content in
            defer { content.open = [:] }
            return content.open
        }
        _ = consume kept
        return try disk.open(path)
    }

    private static func removeOldest(_ content: inout Content) -> (any DiskFile)? {
        guard let oldest = content.open.min(by: { $0.value.turn < $1.value.turn }) else { return nil }
        content.open[oldest.key] = nil
        return oldest.value.file
    }

    fileprivate func forget(_ id: UInt64) {
        let leaving = content.withLock { $0.open.removeValue(forKey: id) }
        _ = leaving
    }
}

/// A segment's file that has a descriptor only while it is in use. Reads only.
final class SegmentFile: DiskFile {
    fileprivate let path: String
    fileprivate let id: UInt64
    private let cache: SegmentFileCache
    /// Set once the name may be gone: from then on nothing but this handle leads to the bytes.
    private let held = Mutex<(any DiskFile)?>(nil)

    fileprivate init(path: String, id: UInt64, cache: SegmentFileCache) {
        self.path = path
        self.id = id
        self.cache = cache
    }

    deinit { cache.forget(id) }

    private func current() throws(DiskError) -> any DiskFile {
        if let file = held.withLock({ $0 }) { return file }
        return try cache.open(self)
    }

    /// Keeps the file open until this object goes; to be called before its name is removed or changed. Where it cannot
    /// be opened, later reads say so.
    func keepOpen() {
        guard held.withLock({ $0 == nil }), let file = try? cache.open(self) else { return }
        held.withLock { $0 = file }
        cache.forget(id)
    }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        try current().read(at: offset, count: count)
    }

    func size() throws(DiskError) -> UInt64 { try current().size() }

    func close() {
        held.withLock { $0 = nil }
        cache.forget(id)
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) { throw refusal(.append) }
    func syncData() throws(DiskError) { throw refusal(.syncData) }
    func preallocate(_ bytes: UInt64) throws(DiskError) { throw refusal(.preallocate) }

    private func refusal(_ call: DiskCall) -> DiskError { DiskError(call: call, path: path, code: 30) }
}

extension DiskError {
    /// EMFILE or ENFILE.
    var isOutOfDescriptors: Bool { code == 24 || code == 23 }
}

extension SegmentReader {
    /// Keeps the file readable for whoever holds this reader, though its name goes.
    func keepOpen() { (file as? SegmentFile)?.keepOpen() }
}
