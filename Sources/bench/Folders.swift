internal import Glibc

/// A new folder below TMPDIR or /tmp.
func temporaryFolder() throws -> String {
    let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(base)/crest-bench-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CallFailure(call: "mkdtemp in \(base)") }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Visits every file below `folder` as (path, bytes). Folders are bench's own, three levels deep at most.
private func visit(_ folder: String, _ body: (String, Int) -> Void) {
    guard let stream = opendir(folder) else { return }
    defer { closedir(stream) }
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name != ".", name != ".." else { continue }
        let path = folder + "/" + name
        var facts = stat()
        guard lstat(path, &facts) == 0 else { continue }
        if facts.st_mode & S_IFMT == S_IFDIR {
            visit(path, body)
            body(path, 0)
        } else {
            body(path, Int(facts.st_size))
        }
    }
}

/// Bytes of all files below a data directory: segments, manifest, what is left of the log.
func storedBytes(_ folder: String) -> Int {
    var total = 0
    visit(folder) { total += $1 }
    return total
}

/// Takes what the system remembers of the files below `folder` from its cache, so that the next read goes to the disk.
func dropCached(_ folder: String) {
    visit(folder) { path, _ in
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
        close(descriptor)
    }
}

func removeFolder(_ folder: String) {
    visit(folder) { path, _ in _ = remove(path) }
    _ = rmdir(folder)
}
