internal import Glibc
internal import SegmentStore
package import Telemetry

extension HostDisk {
    /// Maps the page that counts lines for the process after this one; nil when the system does not let us.
    ///
    /// Source: schemas/disk/metrics-log.md, "TALLY".
    package func mapTally() -> LineTally? {
        guard (try? makeDirectory(StorePath.metricsDirectory)) != nil else { return nil }
        let path = "\(location)/\(StorePath.metricsTally)"
        let descriptor = retrying { Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600) }
        guard descriptor >= 0 else { return nil }
        defer { _ = Glibc.close(descriptor) }
        // Reserved, not only sized: a store to a page that finds the disk full would kill the process.
        guard posix_fallocate(descriptor, 0, off_t(LineTally.byteCount)) == 0 else { return nil }
        let page = mmap(nil, LineTally.byteCount, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)
        guard let page, page != MAP_FAILED else { return nil }
        return LineTally(page: page) { munmap($0, LineTally.byteCount) }
    }
}
