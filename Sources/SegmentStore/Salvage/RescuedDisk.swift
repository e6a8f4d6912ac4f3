internal import Synchronization

/// A damaged directory seen without touching it: nothing is ever changed, and what the medium refuses to give reads as
/// zeros, which no checksum takes for data.
final class RescuedDisk: Disk {
    private let disk: any Disk
    private let refused = Mutex<[StoreFinding]>([])
    static let sectorBytes: UInt64 = 4_096

    init(_ disk: any Disk) { self.disk = disk }

    /// Bytes that could not be read.
    var findings: [StoreFinding] { refused.withLock { $0 } }

    func open(_ path: String) throws(DiskError) -> any DiskFile {
        RescuedFile(try disk.open(path), path) { [weak self] range, error in self?.note(path, range, error) }
    }

    private func note(_ path: String, _ range: Range<UInt64>, _ error: DiskError) {
        let finding = StoreFinding(path, bytes: range, error.description)
        refused.withLock { if !$0.contains(finding) { $0.append(finding) } }
    }

    /// A folder that is missing holds nothing.
    func list(_ directory: String) throws(DiskError) -> [DiskEntry] {
        do { return try disk.list(directory) } catch {
            if error.isMissing, !directory.isEmpty { return [] }
            throw error
        }
    }

    func space() throws(DiskError) -> DiskSpace { try disk.space() }

    // What recovery would change is left as it is.
    func rename(_ path: String, to target: String) throws(DiskError) {}
    func remove(_ path: String) throws(DiskError) {}
    func link(_ path: String, to target: String) throws(DiskError) {}
    func makeDirectory(_ path: String) throws(DiskError) {}
    func removeDirectory(_ path: String) throws(DiskError) {}
    func syncDirectory(_ directory: String) throws(DiskError) {}

    func create(_ path: String) throws(DiskError) -> any DiskFile { throw refusal(.create, path) }
    func lock(_ path: String) throws(DiskError) -> any DiskFile { throw refusal(.lock, path) }
    /// EROFS.
    private func refusal(_ call: DiskCall, _ path: String) -> DiskError { DiskError(call: call, path: path, code: 30) }
}

private final class RescuedFile: DiskFile {
    private let file: any DiskFile
    private let path: String
    private let note: @Sendable (Range<UInt64>, DiskError) -> Void

    init(_ file: any DiskFile, _ path: String, _ note: @escaping @Sendable (Range<UInt64>, DiskError) -> Void) {
        self.file = file
        self.path = path
        self.note = note
    }

    /// All that can be read; sectors that cannot are zeros.
    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] {
        let failure: DiskError
        do { return try file.read(at: offset, count: count) } catch { failure = error }
        if failure.isTooShort || count <= 0 { throw failure }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        let end = offset &+ UInt64(count)
        var start = offset
        while start < end {
            let next = min(end, (start / RescuedDisk.sectorBytes &+ 1) &* RescuedDisk.sectorBytes)
            do { bytes += try file.read(at: start, count: Int(next - start)) } catch {
                bytes += [UInt8](repeating: 0, count: Int(next - start))
                note(start..<next, error)
            }
            start = next
        }
        return bytes
    }

    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) {
        throw DiskError(call: .append, path: path, code: 30)
    }
    func syncData() throws(DiskError) {}
    func preallocate(_ bytes: UInt64) throws(DiskError) {}
    func size() throws(DiskError) -> UInt64 { try file.size() }
    func close() { file.close() }
}
