/// The one door from the store to the operating system. Implemented by HostIO over Glibc and by TestKit in memory.
///
/// Paths are relative to the data directory, with `/` between folder and name. A call either does what it says or
/// throws with the state left behind as stated; nothing is retried inside. What survives a power loss:
///
/// - bytes of a file: after ``DiskFile/syncData()`` returned;
/// - a name (create, rename, link, remove): after ``syncDirectory(_:)`` of its folder returned;
/// - anything else: may be kept, lost, reordered or torn at any 512-byte sector.
package protocol Disk: Sendable {
    /// Creates a file that must not exist yet, open for appending and reading.
    func create(_ path: String) throws(DiskError) -> any DiskFile
    /// Opens an existing regular file for reading. A symbolic link in its place is refused.
    func open(_ path: String) throws(DiskError) -> any DiskFile
    /// Gives the file another name in the same data directory, replacing what has it.
    func rename(_ path: String, to target: String) throws(DiskError)
    /// Removes the name; open handles keep reading.
    func remove(_ path: String) throws(DiskError)
    /// A second name for the same bytes.
    func link(_ path: String, to target: String) throws(DiskError)
    /// Makes a folder; one that is there already is no error.
    func makeDirectory(_ path: String) throws(DiskError)
    /// Removes an empty folder.
    func removeDirectory(_ path: String) throws(DiskError)
    /// Names in a folder (`""` is the data directory itself), sorted.
    func list(_ directory: String) throws(DiskError) -> [DiskEntry]
    /// Makes the names of a folder durable.
    func syncDirectory(_ directory: String) throws(DiskError)
    /// Takes the exclusive lock that one process may hold; released when the handle is closed or the process dies.
    /// - Throws: an error whose `isInUse` is true when another process has it.
    func lock(_ path: String) throws(DiskError) -> any DiskFile
    /// Bytes free for us, and in all, on the file system of the data directory.
    func space() throws(DiskError) -> DiskSpace
}

/// An open file. Reads may come from any thread; appends from one at a time.
package protocol DiskFile: AnyObject, Sendable {
    /// Exactly `count` bytes at `offset`.
    /// - Throws: `unexpectedEnd` when the file is shorter.
    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8]
    /// Appends the pieces in order, as one vectored write where the system allows. The pieces are borrowed for the
    /// call. After a throw any prefix may have been written.
    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError)
    /// fdatasync. After a throw the file's earlier bytes are in doubt: never call it again on this file.
    func syncData() throws(DiskError)
    /// Reserves room for `bytes` more bytes without changing the size. A system that cannot is no error.
    func preallocate(_ bytes: UInt64) throws(DiskError)
    /// Bytes in the file.
    func size() throws(DiskError) -> UInt64
    /// Closes early; otherwise the last reference does.
    func close()
}

extension DiskFile {
    /// Appends one array.
    package func append(_ bytes: [UInt8]) throws(DiskError) {
        var failure: DiskError?
        bytes.withUnsafeBytes { buffer in
            do throws(DiskError) { try append([buffer]) } catch { failure = error }
        }
        if let failure { throw failure }
    }
}

/// A name in a folder.
package struct DiskEntry: Hashable, Sendable {
    package let name: String
    /// False for folders, links, sockets and everything else that is not ours.
    package let isRegularFile: Bool
    package let byteCount: UInt64

    package init(name: String, isRegularFile: Bool = true, byteCount: UInt64 = 0) {
        self.name = name
        self.isRegularFile = isRegularFile
        self.byteCount = byteCount
    }
}

package struct DiskSpace: Hashable, Sendable {
    package let freeBytes: UInt64
    package let totalBytes: UInt64

    package init(freeBytes: UInt64, totalBytes: UInt64) {
        self.freeBytes = freeBytes
        self.totalBytes = totalBytes
    }
}

/// The calls of ``Disk`` and ``DiskFile``; the raw value is what error texts and metrics say.
package enum DiskCall: String, CaseIterable, Sendable {
    case create
    case open
    case read
    case append = "write"
    case syncData = "fdatasync"
    case preallocate = "fallocate"
    case size = "fstat"
    case rename
    case remove = "unlink"
    case link
    case makeDirectory = "mkdir"
    case removeDirectory = "rmdir"
    case list = "readdir"
    case syncDirectory = "fsync directory"
    case lock
    case space = "statvfs"
}

/// What the operating system refused: the call, the file and errno.
package struct DiskError: Error, Hashable, Sendable, CustomStringConvertible {
    package let call: DiskCall
    package let path: String
    /// Linux errno, or ``unexpectedEnd``.
    package let code: Int32

    package init(call: DiskCall, path: String, code: Int32) {
        self.call = call
        self.path = path
        self.code = code
    }

    /// Not an errno: a file ended before the bytes asked for.
    package static let unexpectedEnd: Int32 = -1

    /// ENOSPC, EDQUOT or EFBIG.
    package var isFull: Bool { code == 28 || code == 122 || code == 27 }
    /// EROFS.
    package var isReadOnly: Bool { code == 30 }
    /// ENOENT.
    package var isMissing: Bool { code == 2 }
    /// EEXIST.
    package var isThere: Bool { code == 17 }
    /// EPERM or EACCES.
    package var isPermission: Bool { code == 1 || code == 13 }
    /// EAGAIN of a lock that another process holds.
    package var isInUse: Bool { call == .lock && code == 11 }

    package var description: String { "\(call.rawValue) \(path): \(Self.names[code] ?? "errno \(code)")" }

    private static let names: [Int32: String] = [
        -1: "file too short", 1: "EPERM", 2: "ENOENT", 5: "EIO", 11: "EAGAIN", 12: "ENOMEM", 13: "EACCES",
        17: "EEXIST", 18: "EXDEV", 20: "ENOTDIR", 21: "EISDIR", 22: "EINVAL", 24: "EMFILE", 23: "ENFILE", 27: "EFBIG",
        28: "ENOSPC", 30: "EROFS", 39: "ENOTEMPTY", 40: "ELOOP",
        122: "EDQUOT",
    ]
}
