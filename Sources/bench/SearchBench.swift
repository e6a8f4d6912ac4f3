internal import Glibc
internal import Telemetry

/// One kind of search: its parameters, and how many traces each must find at least and at most.
private struct SearchCase {
    let name: String
    let paths: [String]
    let found: ClosedRange<Int>
}

/// What one span of the recording can be searched by.
private struct Triple: Hashable {
    var service: String
    var operation: String
    var value: String
}

/// The searches that a recording allows. All ask for the newest 20.
private struct SearchCases {
    private static let tag = "http.status_code"
    private var counts: [Triple: Int] = [:]
    private var unique: Set<String> = []

    init(_ recording: RepeatedRecording) {
        for batch in recording.batches {
            for (index, row) in batch.spans.enumerated() {
                let service = batch.string(batch.resources[Int(batch.scopes[Int(row.scope)].resource)].serviceName)
                let operation = batch.string(row.name)
                for attribute in batch.record(index).attributes {
                    if attribute.key == RepeatedRecording.uniqueKey {
                        unique.insert(AttributeText.text(attribute.value))
                    }
                    guard attribute.key == Self.tag else { continue }
                    let triple = Triple(
                        service: service, operation: operation, value: AttributeText.text(attribute.value))
                    counts[triple, default: 0] += 1
                }
            }
        }
    }

    private func path(_ triple: Triple) -> String {
        "/api/crest/v1/search?limit=20&service=\(escaped(triple.service))&operation=\(escaped(triple.operation))"
            + "&tag=\(Self.tag):\(escaped(triple.value))"
    }

    /// The commonest, the rarest that is there, and two that are never on one span though each is common.
    func all(repeats: Int, count: Int) -> [SearchCase] {
        let sorted = counts.sorted {
            ($0.value, $0.key.operation, $0.key.value) < ($1.value, $1.key.operation, $1.key.value)
        }
        guard let rare = sorted.first, let common = sorted.last else { return [] }
        var apart: [String] = []
        let values = Set(counts.keys.map(\.value)).sorted()
        for (triple, _) in sorted.reversed() {
            for value in values {
                let other = Triple(service: triple.service, operation: triple.operation, value: value)
                if counts[other] == nil { apart.append(path(other)) }
            }
        }
        let ids = unique.sorted()
        let few = min(count, 50)
        let rareValues = (0..<min(count, 200)).map { index in
            let value = RepeatedRecording.unique(ids[index * 7_919 % ids.count], index * 31 % repeats)
            return "/api/crest/v1/search?limit=20&tag=\(RepeatedRecording.uniqueKey):\(value)"
        }
        let absent = (0..<few).map { "/api/crest/v1/search?limit=20&tag=\(RepeatedRecording.uniqueKey):none\($0)" }
        return [
            SearchCase(name: "common", paths: Array(repeating: path(common.key), count: few), found: 1...20),
            SearchCase(name: "uncommon", paths: Array(repeating: path(rare.key), count: few), found: 1...20),
            SearchCase(name: "apart", paths: Array(apart.prefix(few)), found: 0...0),
            SearchCase(name: "rare_value", paths: rareValues, found: 1...1),
            SearchCase(name: "absent_value", paths: absent, found: 0...0),
        ]
    }
}

private func escaped(_ text: String) -> String {
    text.utf8.map { byte in
        let isPlain = byte >= 0x30 && byte < 0x3a || byte >= 0x41 && byte < 0x5b || byte >= 0x61 && byte < 0x7b
        if isPlain { return String(UnicodeScalar(byte)) }
        let digits = String(byte, radix: 16, uppercase: true)
        return "%" + (digits.utf8.count == 1 ? "0" : "") + digits
    }.joined()
}

/// Times the requests and checks how many traces each found.
private func time(_ search: SearchCase, port: UInt16) throws -> [Double] {
    var connection = try HTTPConnection(port: port)
    defer { connection.close() }
    let marker = Array("\"rootService\"".utf8)
    return try search.paths.map { path in
        let started = now()
        let reply = try connection.exchange("GET", path)
        let milliseconds = (now() - started) * 1e3
        let found = occurrences(of: marker, in: reply.body)
        guard reply.status == 200, search.found.contains(found) else {
            throw ReplayFailure(text: "\(path): status \(reply.status), \(found) traces")
        }
        return milliseconds
    }
}

func runSearch(spans: Int, recorded: Int, lookups: Int, seed: Int, keptFolder: String? = nil) throws {
    let recording = try Recording(spans: recorded, seed: seed)
    let repeats = max(1, (spans + recording.spanCount - 1) / max(1, recording.spanCount))
    let repeated = try RepeatedRecording(recording, repeats: repeats)
    let folder = try keptFolder ?? temporaryFolder()
    defer { if keptFolder == nil { removeFolder(folder) } }
    progress("storing \(recording.spanCount) spans \(repeats) times in \(folder)")
    let began = now()
    try repeated.store(in: folder)
    let seconds = now() - began
    let total = recording.spanCount * repeats

    let flags = daemonFlags(["http"], folder: folder)
    let opening = now()
    let server = try ServerProcess("crestd", flags)
    let ready = now() - opening
    let port = server.ports["http"] ?? 0
    let sample = sampleTraces(recording.traces, repeats: repeats, count: lookups)
    let cold = try timeColdLookups(sample, in: folder, port: port)
    let first = try timeLookups(sample, count: lookups, port: port)
    let before = server.cpuSeconds
    let warm = try timeLookups(sample, count: lookups, port: port)
    let warmSeconds = server.cpuSeconds - before

    var report = Report("search")
    report.add("spans", total)
    report.add("store_seconds", seconds)
    report.add("restart_seconds", ready)
    report.add("lookups", warm.milliseconds.count)
    report.add("lookups_whole", warm.whole)
    report.add("trace_by_id_cold_p50_ms", percentile(cold, 0.5))
    report.add("trace_by_id_cold_p99_ms", percentile(cold, 0.99))
    report.add("trace_by_id_first_p50_ms", percentile(first.milliseconds, 0.5))
    report.add("trace_by_id_first_p99_ms", percentile(first.milliseconds, 0.99))
    report.add("trace_by_id_p50_ms", percentile(warm.milliseconds, 0.5))
    report.add("trace_by_id_p99_ms", percentile(warm.milliseconds, 0.99))
    report.add("trace_by_id_cpu_ms", warmSeconds * 1e3 / Double(max(1, warm.milliseconds.count)))
    for search in SearchCases(repeated).all(repeats: repeats, count: lookups) {
        let before = server.cpuSeconds
        let times = try time(search, port: port)
        report.add("\(search.name)_cpu_ms", (server.cpuSeconds - before) * 1e3 / Double(max(1, times.count)))
        report.add("\(search.name)_p50_ms", percentile(times, 0.5))
        report.add("\(search.name)_p99_ms", percentile(times, 0.99))
    }
    report.add("rss_mb", Double(server.residentBytes) / 1e6)
    report.add("peak_rss_mb", Double(server.peakResidentBytes) / 1e6)
    _ = server.stop()
    // Only now: while it runs, a merge's inputs and its result may both be there.
    report.add("disk_bytes_per_span", Double(storedBytes(folder)) / Double(total))
    report.print()
    guard warm.whole == warm.milliseconds.count else {
        throw ReplayFailure(text: "\(warm.milliseconds.count - warm.whole) traces were not whole")
    }
}

/// Looks up at most 200 traces; before each the system has forgotten all files of the store.
private func timeColdLookups(_ sample: [TraceID: Int], in folder: String, port: UInt16) throws -> [Double] {
    try sample.sorted { $0.key < $1.key }.prefix(200).flatMap { id, spans in
        dropCached(folder)
        let lookup = try timeLookups([id: spans], count: 1, port: port)
        guard lookup.whole == 1 else { throw ReplayFailure(text: "trace \(id.hex32) was not whole") }
        return lookup.milliseconds
    }
}

/// Traces from all repeats, with the number of spans of each.
private func sampleTraces(_ traces: [TraceID: Int], repeats: Int, count: Int) -> [TraceID: Int] {
    let ids = traces.keys.sorted()
    var sample: [TraceID: Int] = [:]
    for index in 0..<count {
        let id = ids[index * 7_919 % ids.count]
        sample[RepeatedRecording.traceID(id, index * 31 % repeats)] = traces[id]
    }
    return sample
}
