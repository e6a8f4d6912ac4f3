internal import Glibc
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// What promo-shop sent: request bodies with the entropy of a real shop, and the traces in them.
struct Recording {
    let bodies: [[UInt8]]
    let spanCount: Int
    /// Distinct trace ids with their number of spans.
    let traces: [TraceID: Int]
    var byteCount: Int { bodies.reduce(0) { $0 + $1.count } }

    init(spans: Int, seed: Int) throws {
        let sink = try HTTPSink(keep: true)
        try sink.start()
        // About 24 spans a trace; the shop's requests take no time of their own, so the rate is what one core gives.
        let rate = 800
        let seconds = max(1, (spans / 24 + rate - 1) / rate)
        progress("recording \(seconds) s of promo-shop at \(rate) requests/s, seed \(seed)")
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { throw CallFailure(call: "pipe") }
        let pid = try spawn(
            siblingPath("promo-shop"),
            [
                "--rate", "\(rate)", "--peak", "1x", "--duration", "\(seconds)s", "--seed", "\(seed)",
                "--otlp", "http://127.0.0.1:\(sink.socket.port)", "--statsd", "127.0.0.1:9",
            ],
            standardOutput: pipes[1])
        close(pipes[1])
        _ = readAll(pipes[0])
        var code: Int32 = 0
        waitpid(pid, &code, 0)
        guard code == 0 else { throw CallFailure(call: "promo-shop, exit \(code >> 8)") }
        bodies = sink.bodies
        var traces: [TraceID: Int] = [:]
        var count = 0
        for body in bodies {
            let decoded = try body.withUnsafeBytes { try decodeOTLPTraces($0, origin: BatchOrigin(arrival: 1)) }
            count += decoded.batch.spans.count
            for span in decoded.batch.spans { traces[span.traceID, default: 0] += 1 }
        }
        self.traces = traces
        spanCount = count
    }
}

/// Sends all bodies over `connections` keep-alive connections; returns the seconds it took.
private func replay(_ bodies: [[UInt8]], port: UInt16, connections: Int) throws -> Double {
    let next = Atomic<Int>(0)
    let failure = Mutex<String?>(nil)
    let started = now()
    let threads = Mutex<Int>(connections)
    let shared = Replay(bodies: bodies, port: port, next: next, failure: failure, running: threads)
    for _ in 0..<connections { try startThread { shared.run() } }
    while shared.running.withLock({ $0 }) > 0 { usleep(2_000) }
    if let text = shared.failure.withLock({ $0 }) { throw ReplayFailure(text: text) }
    return now() - started
}

struct ReplayFailure: Error, CustomStringConvertible {
    let text: String
    var description: String { text }
}

private final class Replay: Sendable {
    let bodies: [[UInt8]]
    let port: UInt16
    let next: Atomic<Int>
    let failure: Mutex<String?>
    let running: Mutex<Int>

    init(
        bodies: [[UInt8]], port: UInt16, next: consuming Atomic<Int>, failure: consuming sending Mutex<String?>,
        running: consuming sending Mutex<Int>
    ) {
        self.bodies = bodies
        self.port = port
        self.next = next
        self.failure = failure
        self.running = running
    }

    func run() {
        defer { running.withLock { $0 -= 1 } }
        do {
            var connection = try HTTPConnection(port: port)
            defer { connection.close() }
            while true {
                let index = next.add(1, ordering: .relaxed).oldValue
                guard index < bodies.count else { return }
                while true {
                    let reply = try connection.exchange(
                        "POST", "/v1/traces", contentType: "application/x-protobuf", body: bodies[index])
                    if reply.status == 200 { break }
                    guard reply.status == 503 else { throw ReplayFailure(text: "status \(reply.status)") }
                    usleep(50_000)
                }
            }
        } catch {
            failure.withLock { $0 = "\(error)" }
        }
    }
}

func runIngest(spans: Int, lookups: Int, connections: Int, seed: Int) throws {
    let recording = try Recording(spans: spans, seed: seed)
    let millions = Double(recording.spanCount) / 1e6
    progress("\(recording.spanCount) spans, \(recording.traces.count) traces, \(recording.bodies.count) bodies")

    let floor = try ServerProcess("bench", ["sink"])
    _ = try replay(recording.bodies, port: floor.ports["http"] ?? 0, connections: connections)
    let floorSeconds = floor.stop(signal: SIGKILL)

    let folder = try temporaryFolder()
    let flags = [
        "--http", "127.0.0.1:0", "--otlp-http", "127.0.0.1:0", "--zipkin", "off", "--jaeger-http", "off",
        "--jaeger-udp", "off", "--crest-udp", "off", "--statsd", "off", "--data-dir",
        folder,
    ]
    var server = try ServerProcess("crestd", flags)
    let wall = try replay(recording.bodies, port: server.ports["otlp-http"] ?? 0, connections: connections)
    let atLastAck = server.cpuSeconds
    let peak = server.peakResidentBytes
    let whole = server.stop()
    let bytes = storedBytes(folder)

    server = try ServerProcess("crestd", flags)
    let lookup = try timeLookups(recording.traces, count: lookups, port: server.ports["http"] ?? 0)
    _ = server.stop()
    removeFolder(folder)

    var report = Report("ingest")
    report.add("spans", recording.spanCount)
    report.add("traces", recording.traces.count)
    report.add("otlp_bytes_per_span", Double(recording.byteCount) / Double(recording.spanCount))
    report.add("cpu_s_per_million_spans_at_last_ack", atLastAck / millions)
    report.add("cpu_s_per_million_spans_sealed", whole / millions)
    report.add("floor_sink_cpu_s_per_million_spans", floorSeconds / millions)
    report.add("spans_per_second", Double(recording.spanCount) / wall)
    report.add("disk_bytes_per_span", Double(bytes) / Double(recording.spanCount))
    report.add("peak_rss_mb", Double(peak) / 1e6)
    report.add("lookups", lookup.milliseconds.count)
    report.add("lookups_whole", lookup.whole)
    report.add("trace_by_id_p50_ms", percentile(lookup.milliseconds, 0.5))
    report.add("trace_by_id_p99_ms", percentile(lookup.milliseconds, 0.99))
    report.print()
    guard lookup.whole == lookup.milliseconds.count else {
        throw ReplayFailure(text: "\(lookup.milliseconds.count - lookup.whole) traces were not whole")
    }
}

/// Times `count` lookups by id through the Jaeger v1 API and checks that every trace has all its spans.
func timeLookups(
    _ traces: [TraceID: Int], count: Int, port: UInt16
) throws -> (milliseconds: [Double], whole: Int) {
    var connection = try HTTPConnection(port: port)
    defer { connection.close() }
    let ids = traces.keys.sorted()
    let step = max(1, ids.count / max(1, count))
    var milliseconds: [Double] = []
    var whole = 0
    let marker = Array("\"operationName\"".utf8)
    for index in stride(from: 0, to: ids.count, by: step).prefix(count) {
        let started = now()
        let reply = try connection.exchange("GET", "/api/traces/\(ids[index].hex32)")
        milliseconds.append((now() - started) * 1e3)
        if reply.status == 200, occurrences(of: marker, in: reply.body) == traces[ids[index]] { whole += 1 }
    }
    return (milliseconds, whole)
}

func occurrences(of needle: [UInt8], in bytes: [UInt8]) -> Int {
    var count = 0
    var index = 0
    while index + needle.count <= bytes.count {
        if bytes[index] == needle[0], bytes[index..<index + needle.count].elementsEqual(needle) {
            count += 1
            index += needle.count
        } else {
            index += 1
        }
    }
    return count
}
