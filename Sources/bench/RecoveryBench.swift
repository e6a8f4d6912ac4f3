internal import Glibc
internal import HostIO
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// Leaves a directory as a killed daemon does: a log of so many bytes, nothing sealed. Returns bytes and spans in it.
private func writeLog(_ bytes: UInt64, in folder: String) throws -> (bytes: UInt64, spans: UInt64) {
    let recording = try Recording(spans: 20_000, seed: 42)
    let repeats = max(1, Int(bytes / 2_000_000))
    let repeated = try RepeatedRecording(recording, repeats: repeats)
    var configuration = StoreConfiguration(wallClock: wallClock)
    configuration.durability = .interval
    configuration.headBytes = .max
    configuration.headAge = .max
    let store = try SegmentStore.open(try HostDisk(folder), configuration: configuration)
    let pending = Atomic<Int>(0)
    let waiting = Pending(pending)
    var terms = store.ledgerTerms
    fill: for number in 0..<repeats {
        for index in repeated.batches.indices {
            terms = store.ledgerTerms
            if terms.walBytes >= bytes { break fill }
            waiting.count.add(1, ordering: .relaxed)
            store.append(repeated.batch(index, number)) { _ in waiting.count.subtract(1, ordering: .relaxed) }
            while waiting.count.load(ordering: .relaxed) > 64 { usleep(200) }
        }
    }
    while waiting.count.load(ordering: .relaxed) > 0 { usleep(200) }
    terms = store.ledgerTerms
    guard store.close(sealing: false) else { throw ReplayFailure(text: "the log could not be synced") }
    return (terms.walBytes, terms.stored)
}

private final class Pending: Sendable {
    let count: Atomic<Int>
    init(_ count: consuming Atomic<Int>) { self.count = count }
}

/// A directory, closed in order, of `count` segments with two spans each.
private func writeSegments(_ count: Int, in folder: String) throws {
    let disk = try HostDisk(folder)
    for directory in [StorePath.walDirectory, StorePath.segmentDirectory] { try disk.makeDirectory(directory) }
    let storeID = [UInt8](repeating: 7, count: 16)
    var manifest = Manifest(storeID: storeID)
    let encoder = SegmentEncoder()
    for number in 1...UInt64(count) {
        let batch = try SmallRequest.body(number).withUnsafeBytes { bytes in
            try decodeOTLPTraces(bytes, origin: BatchOrigin(arrival: wallClock())).batch
        }
        let identity = SegmentIdentity(
            id: number, level: 0, firstSequence: number, lastSequence: number, storeID: storeID, replaces: [])
        let path = StorePath.segment(first: number, last: number, id: number, level: 0)
        let file = try disk.create(path)
        let summary = try encoder.encode([batch], identity: identity) { (bytes) throws(DiskError) in
            try file.append(bytes)
        }
        manifest.segments.append(
            ManifestSegment(
                id: number, firstSequence: number, lastSequence: number, spanCount: summary.spanCount,
                byteCount: try file.size(), latestArrival: summary.latestArrival, level: 0))
        file.close()
    }
    manifest.closedInOrder = true
    manifest.nextSegmentID = UInt64(count) + 1
    manifest.sealedSequence = UInt64(count)
    manifest.stored = manifest.liveSpans
    try disk.create(StorePath.meta).append(StoreMeta(storeID: storeID, created: wallClock()).encoded())
    try disk.create(StorePath.manifest).append(manifest.encoded())
}

/// Starts crestd over a folder; returns the seconds to its ready line and the spans it says are stored.
private func start(_ folder: String) throws -> (server: ServerProcess, seconds: Double, stored: UInt64) {
    let began = now()
    let server = try ServerProcess(
        "crestd",
        [
            "--http", "127.0.0.1:0", "--otlp-http", "off", "--zipkin", "off", "--jaeger-http", "off",
            "--jaeger-udp", "off", "--crest-udp", "off", "--statsd", "off", "--data-dir", folder,
            "--retention-age", "forever",
        ])
    let seconds = now() - began
    var connection = try HTTPConnection(port: server.ports["http"] ?? 0)
    defer { connection.close() }
    let ledger = String(decoding: try connection.exchange("GET", "/api/crest/v1/ledger").body, as: UTF8.self)
    let stored = ledger.split(separator: "\"stored\":").dropFirst().first.flatMap { rest in
        UInt64(rest.drop { $0 == " " }.prefix { $0.isNumber })
    }
    return (server, seconds, stored ?? 0)
}

func runRecovery(logBytes: UInt64, segments: Int) throws {
    let logged = try temporaryFolder()
    defer { removeFolder(logged) }
    progress("writing \(logBytes >> 20) MiB of log")
    let log = try writeLog(logBytes, in: logged)
    let crashed = try start(logged)
    let peak = crashed.server.peakResidentBytes
    _ = crashed.server.stop()
    let clean = try start(logged)
    _ = clean.server.stop()

    let many = try temporaryFolder()
    defer { removeFolder(many) }
    progress("writing \(segments) segments")
    try writeSegments(segments, in: many)
    let first = try start(many)
    let resident = first.server.residentBytes
    _ = first.server.stop(signal: SIGKILL)

    var report = Report("recovery")
    report.add("log_bytes", Int(clamping: log.bytes))
    report.add("log_spans", Int(clamping: log.spans))
    report.add("recovery_seconds", crashed.seconds)
    report.add("recovery_seconds_per_gib", crashed.seconds * Double(1 << 30) / Double(max(1, log.bytes)))
    report.add("recovery_target_seconds_per_gib", 5)
    report.add("recovery_peak_rss_mb", Double(peak) / 1e6)
    report.add("restart_after_clean_stop_seconds", clean.seconds)
    report.add("restart_target_seconds", 1)
    report.add("segments", segments)
    report.add("many_segments_start_seconds", first.seconds)
    report.add("many_segments_rss_mb", Double(resident) / 1e6)
    report.print()
    guard crashed.stored == log.spans, clean.stored == log.spans,
        first.stored == UInt64(segments * SmallRequest.spans)
    else { throw ReplayFailure(text: "\(crashed.stored) and \(clean.stored) spans stored, not \(log.spans)") }
}
