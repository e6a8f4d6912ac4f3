internal import Glibc
internal import SegmentStore

/// A disk whose every fdatasync of a file it created takes at least so long.
struct DelayedDisk: Disk {
    let disk: any Disk
    let seconds: Double

    func create(_ path: String) throws(DiskError) -> any DiskFile {
        DelayedFile(file: try disk.create(path), seconds: seconds)
    }

    func open(_ path: String) throws(DiskError) -> any DiskFile { try disk.open(path) }
    func rename(_ path: String, to target: String) throws(DiskError) { try disk.rename(path, to: target) }
    func remove(_ path: String) throws(DiskError) { try disk.remove(path) }
    func link(_ path: String, to target: String) throws(DiskError) { try disk.link(path, to: target) }
    func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
    func removeDirectory(_ path: String) throws(DiskError) { try disk.removeDirectory(path) }
    func list(_ directory: String) throws(DiskError) -> [DiskEntry] { try disk.list(directory) }
    func syncDirectory(_ directory: String) throws(DiskError) { try disk.syncDirectory(directory) }
    func lock(_ path: String) throws(DiskError) -> any DiskFile { try disk.lock(path) }
    func space() throws(DiskError) -> DiskSpace { try disk.space() }
}

private final class DelayedFile: DiskFile {
    private let file: any DiskFile
    private let seconds: Double

    init(file: any DiskFile, seconds: Double) {
        self.file = file
        self.seconds = seconds
    }

    func syncData() throws(DiskError) {
        let began = now()
        try file.syncData()
        let left = seconds - (now() - began)
        if left > 0 { usleep(UInt32(left * 1e6)) }
    }

    func read(at offset: UInt64, count: Int) throws(DiskError) -> [UInt8] { try file.read(at: offset, count: count) }
    func append(_ pieces: [UnsafeRawBufferPointer]) throws(DiskError) { try file.append(pieces) }
    func preallocate(_ bytes: UInt64) throws(DiskError) { try file.preallocate(bytes) }
    func size() throws(DiskError) -> UInt64 { try file.size() }
    func close() { file.close() }
}
