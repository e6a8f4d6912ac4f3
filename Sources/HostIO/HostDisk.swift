internal import Glibc
package import SegmentStore

/// A data directory on a real file system. Paths are resolved below it; symbolic links in a file's place are refused.
package final class HostDisk: Disk {
    /// Absolute or relative to the working directory, as given.
    package let location: String

    /// Uses the directory at `location`, made with mode 0700 (parents too) when it is not there.
    package init(_ location: String) throws(DiskError) {
        self.location = location
        try Self.makeDirectories(location)
    }

    /// Uses a directory that must be there.
    package init(existing location: String) throws(DiskError) {
        self.location = location
        var status = stat()
        guard stat(location, &status) == 0 else { throw DiskError(call: .open, path: location, code: errno) }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw DiskError(call: .open, path: location, code: ENOTDIR) }
    }

    /// Gives a file of another directory the same name here.
    /// - Returns: false when the two file systems do not allow that, so that only a copy will do.
    package func link(_ path: String, of other: HostDisk) throws(DiskError) -> Bool {
        if Glibc.link(other.full(path), full(path)) == 0 { return true }
        switch errno {
        case EXDEV, EPERM, EMLINK, EOPNOTSUPP: return false
        default: throw DiskError(call: .link, path: path, code: errno)
        }
    }

    private static func makeDirectories(_ path: String) throws(DiskError) {
        if mkdir(path, 0o700) == 0 || errno == EEXIST { return }
        guard errno == ENOENT, let slash = path.lastIndex(of: "/"), slash != path.startIndex else {
            throw DiskError(call: .makeDirectory, path: path, code: errno)
        }
        try makeDirectories(String(path[..<slash]))
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw DiskError(call: .makeDirectory, path: path, code: errno)
        }
    }

    private func full(_ path: String) -> String { path.isEmpty ? location : "\(location)/\(path)" }

    private func check(_ result: Int32, _ call: DiskCall, _ path: String) throws(DiskError) {
        guard result == 0 else { throw DiskError(call: call, path: path, code: errno) }
    }

    private func openFile(_ path: String, _ flags: Int32, _ call: DiskCall) throws(DiskError) -> HostFile {
        let descriptor = retrying { Glibc.open(full(path), flags | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard descriptor >= 0 else { throw DiskError(call: call, path: path, code: errno) }
        return HostFile(descriptor: descriptor, path: path)
    }

    package func create(_ path: String) throws(DiskError) -> any DiskFile {
        try openFile(path, O_RDWR | O_CREAT | O_EXCL, .create)
    }

    package func open(_ path: String) throws(DiskError) -> any DiskFile {
        let file = try openFile(path, O_RDONLY | O_NONBLOCK, .open)
        var status = stat()
        guard fstat(file.descriptor, &status) == 0 else { throw DiskError(call: .open, path: path, code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw DiskError(call: .open, path: path, code: EISDIR) }
        return file
    }

    package func rename(_ path: String, to target: String) throws(DiskError) {
        try check(Glibc.rename(full(path), full(target)), .rename, path)
    }

    package func remove(_ path: String) throws(DiskError) { try check(unlink(full(path)), .remove, path) }

    package func link(_ path: String, to target: String) throws(DiskError) {
        try check(Glibc.link(full(path), full(target)), .link, path)
    }

    package func makeDirectory(_ path: String) throws(DiskError) {
        guard mkdir(full(path), 0o700) == 0 || errno == EEXIST else {
            throw DiskError(call: .makeDirectory, path: path, code: errno)
        }
    }

    package func removeDirectory(_ path: String) throws(DiskError) {
        try check(rmdir(full(path)), .removeDirectory, path)
    }

    package func list(_ directory: String) throws(DiskError) -> [DiskEntry] {
        guard let stream = opendir(full(directory)) else {
            throw DiskError(call: .list, path: directory, code: errno)
        }
        defer { closedir(stream) }
        var entries: [DiskEntry] = []
        errno = 0
        while let item = readdir(stream) {
            let name = withUnsafePointer(to: &item.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            var status = stat()
            let isThere = lstat("\(full(directory))/\(name)", &status) == 0
            entries.append(
                DiskEntry(
                    name: name, isRegularFile: isThere && status.st_mode & S_IFMT == S_IFREG,
                    byteCount: isThere ? UInt64(clamping: status.st_size) : 0))
            errno = 0
        }
        guard errno == 0 else { throw DiskError(call: .list, path: directory, code: errno) }
        return entries.sorted { $0.name < $1.name }
    }

    package func syncDirectory(_ directory: String) throws(DiskError) {
        let descriptor = retrying { Glibc.open(full(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw DiskError(call: .syncDirectory, path: directory, code: errno) }
        defer { _ = Glibc.close(descriptor) }
        try check(fsync(descriptor), .syncDirectory, directory)
    }

    /// flock: tied to the open file, so neither a fork nor another handle of ours gives it away, and a killed process
    /// leaves nothing behind.
    package func lock(_ path: String) throws(DiskError) -> any DiskFile {
        let file = try openFile(path, O_RDWR | O_CREAT, .lock)
        guard flock(file.descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw DiskError(call: .lock, path: path, code: errno)
        }
        return file
    }

    package func space() throws(DiskError) -> DiskSpace {
        var status = statvfs()
        try check(statvfs(location, &status), .space, location)
        let unit = UInt64(status.f_frsize)
        return DiskSpace(
            freeBytes: UInt64(status.f_bavail) &* unit, totalBytes: UInt64(status.f_blocks) &* unit)
    }
}

/// Repeats a call that a signal interrupted.
func retrying<Value: SignedInteger>(_ call: () -> Value) -> Value {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}
