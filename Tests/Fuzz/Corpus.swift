internal import Glibc

/// Inputs to start from that are kept in the tree: `Tests/Corpus/<target>/<name>`, each a file as it is.
///
/// Those that code makes (``FuzzTarget/seeds``) are tried besides; `fuzz export` writes them there.
struct Corpus {
    let folder: String

    func inputs(of target: String) -> [[UInt8]] {
        let path = "\(folder)/\(target)"
        return names(in: path).compactMap { read("\(path)/\($0)") }
    }

    /// Sorted, so that a seed gives the same run everywhere.
    private func names(in path: String) -> [String] {
        guard let directory = opendir(path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    private func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(path, "rb") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { return bytes }
            bytes += buffer[..<count]
        }
    }

    /// Writes the inputs that code makes, as `seed-1`, `seed-2` and so on.
    func export(_ target: FuzzTarget) -> Bool {
        mkdir(folder, 0o755)
        mkdir("\(folder)/\(target.name)", 0o755)
        return target.seeds().enumerated().allSatisfy { index, input in
            guard let file = fopen("\(folder)/\(target.name)/seed-\(index + 1)", "wb") else { return false }
            let isWritten = fwrite(input, 1, input.count, file) == input.count
            return fclose(file) == 0 && isWritten
        }
    }
}
