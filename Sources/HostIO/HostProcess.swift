internal import CLinux
internal import Glibc

/// Facts about the running process.
package enum HostProcess {
    package static var isRoot: Bool { geteuid() == 0 }

    package static var userID: UInt32 { geteuid() }

    /// From now on what this process makes is for its own user only, whatever mode is asked for.
    package static func makeFilesPrivate() { umask(0o077) }

    /// Whom a file or directory belongs to; nil when there is none, or its directory may not be searched.
    package static func owner(_ path: String) -> UInt32? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_uid : nil
    }

    /// Cores that are online, at least 1.
    package static var coreCount: Int { max(Int(sysconf(Int32(_SC_NPROCESSORS_ONLN))), 1) }

    /// Descriptors this process may have open.
    package static var descriptorLimit: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1_024 }
        return Int(clamping: limit.rlim_cur)
    }

    /// Takes as many descriptors as the system lets this process have without asking.
    package static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0, limit.rlim_cur < limit.rlim_max else { return }
        limit.rlim_cur = limit.rlim_max
        // Refused: the old limit stays, and the caches go by it.
        _ = setrlimit(resource, &limit)
    }

    /// Makes the allocator give back what is freed instead of keeping it for the next request. To be called before any
    /// thread is made; costs about a tenth of the time of a request.
    package static func returnFreedMemory() {
        clinux_return_memory(2, 128 << 10, 1 << 20)
    }

    package static var environment: [String: String] {
        var found: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let parts = String(cString: text).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
            entry += 1
        }
        return found
    }

    /// Bytes of resident memory; zero when the system does not tell.
    package static var residentBytes: UInt64 {
        guard case .success(let bytes) = readFile("/proc/self/statm", limit: 4_096) else { return 0 }
        let fields = String(decoding: bytes, as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
        return pages &* UInt64(clamping: sysconf(Int32(_SC_PAGESIZE)))
    }

    /// The permission bits of the file that a path leads to; nil when there is none.
    package static func fileMode(_ path: String) -> UInt32? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_mode & 0o7777 : nil
    }

    /// Why a file could not be read: errno, or too large.
    package enum ReadFailure: Error, Hashable, Sendable, CustomStringConvertible {
        case system(Int32)
        case tooLarge(limit: Int)

        package var description: String {
            switch self {
            case .system(ENOENT): "no such file"
            case .system(EACCES): "permission denied"
            case .system(EISDIR): "is a directory"
            case .system(let code): "errno \(code)"
            case .tooLarge(let limit): "larger than \(limit) bytes"
            }
        }
    }

    /// A whole small file.
    package static func readFile(_ path: String, limit: Int) -> Result<[UInt8], ReadFailure> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(.system(errno)) }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16_384)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 { return .failure(.system(errno)) }
            if count == 0 { return .success(bytes) }
            bytes += buffer[..<count]
            if bytes.count > limit { return .failure(.tooLarge(limit: limit)) }
        }
    }

    /// Adds to a file that only this user may read; makes it when there is none.
    /// - Returns: what went wrong; nil when all is written.
    package static func append(_ text: String, toPrivateFile path: String) -> String? {
        let descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return "\(ReadFailure.system(errno))" }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        let written = Glibc.write(descriptor, bytes, bytes.count)
        return written == bytes.count ? nil : "\(ReadFailure.system(errno))"
    }

    /// Writes to a standard stream (1 or 2) with one system call where it takes all, so that a line stays a line.
    package static func write(_ text: String, to stream: Int32) {
        let bytes = Array(text.utf8)
        var offset = 0
        while offset < bytes.count {
            let written = bytes.withUnsafeBytes { buffer in
                Glibc.write(stream, buffer.baseAddress.map { $0 + offset }, buffer.count - offset)
            }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { return }
            offset += written
        }
    }

    /// Sends one datagram to a Unix socket; a leading `@` names the abstract namespace.
    /// - Returns: false when nobody took it.
    @discardableResult
    package static func sendDatagram(_ text: String, toUnixSocket path: String) -> Bool {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard !name.isEmpty, name.count < MemoryLayout.size(ofValue: address.sun_path) else { return false }
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        let isAbstract = name[0] == 0
        let length = MemoryLayout<sa_family_t>.size + name.count + (isAbstract ? 0 : 1)
        let bytes = Array(text.utf8)
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                sendto(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL), $0, socklen_t(length)) == bytes.count
            }
        }
    }
}
