internal import ArgumentParser

/// Measures the built daemon: CPU seconds per million items, bytes per span, latencies; the floor beside each.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measures crestd: CPU seconds per million items, bytes per span, latencies, beside the floor.",
        discussion: """
            Every line of output is one JSON object. The programs are looked for beside bench itself.

            Examples:
              bench ingest --spans 600000       OTLP/HTTP to durable, sealed, served by id, compacted; columns
              bench ingest --protocol grpc      the same over gRPC
              bench statsd --lines 4000000      DogStatsD over UDP, kernel included; memory; scrapes
              bench instructions                instructions and allocations a line, under callgrind
              bench datagrams --spans 600000    Crest datagrams to log and head, 32 KiB and 1,400 bytes
              bench search --spans 10000000     traces by id and searches over a large store
              bench commit --seconds 5          group commit: durable requests/s and ack latency beside fdatasync
              bench recovery --segments 10000   start after a crash and after a clean stop
              bench overload --step-seconds 5   up to a hundred times the capacity, held by a CPU quota
              bench all --spans 20000 --lines 100000    the small form that the tests run
            """,
        subcommands: [
            Ingest.self, Datagrams.self, StatsD.self, Instructions.self, Search.self, Commit.self, RecoveryTime.self,
            Overload.self, All.self, Sink.self, Drain.self,
        ])
}

/// What all measurements share.
struct Machine: ParsableArguments {
    @Option(help: "Connections (ingest) that send at the same time.")
    var connections = 2
}

struct Ingest: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Records promo-shop's OTLP traffic, replays it into crestd, looks traces up.",
        discussion: """
            Then the stopped store is compacted in this process, whose CPU seconds are added, and a second line tells the
            bytes of each column per span beside the entropy of its values.
            """)

    @OptionGroup var machine: Machine
    @Option(help: "Spans to send, at least.") var spans = 600_000
    @Option(help: "Lookups of a trace by id.") var lookups = 2_000
    @Option(help: "Seed of the shop.") var seed = 42
    @Option(help: "How the spans are sent: http, grpc.") var `protocol` = IngestProtocol.http

    func run() throws {
        try runIngest(
            spans: spans, lookups: lookups, connections: machine.connections, seed: seed, over: `protocol`)
    }
}

extension IngestProtocol: ExpressibleByArgument {}

struct Datagrams: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Records promo-shop's Crest datagrams of two sizes and replays them into crestd.")

    @Option(help: "Spans to send of each size, at least.") var spans = 600_000
    @Option(help: "Spans a second to send.") var rate = 100_000
    @Option(help: "Seed of the shop.") var seed = 42

    func run() throws { try runDatagrams(spans: spans, spansPerSecond: max(rate, 1), seed: seed) }
}

struct StatsD: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "statsd",
        abstract: "Sends tagged DogStatsD lines over UDP: CPU at saturation, loss at a rate, memory, scrapes.")

    @OptionGroup var options: StatsDOptions
    @Option(help: "Seed of the lines.") var seed: UInt64 = 42

    func run() throws { try runStatsD(options.sizes(seed: seed)) }
}

/// What the StatsD measurements can be told.
struct StatsDOptions: ParsableArguments {
    @Option(help: "DogStatsD lines of each sending.") var lines = 4_000_000
    @Option(help: "Lines a second where nothing should be lost.") var rate = 400_000
    @Option(help: "Counter series, and then ten times as many. (default: a fortieth of the lines, at most 100,000)")
    var series: Int?

    func sizes(seed: UInt64) -> StatsDSizes {
        StatsDSizes(
            lines: max(lines, 1), linesPerSecond: rate, series: series ?? max(min(lines / 40, 100_000), 1), seed: seed)
    }
}

struct Instructions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Instructions and allocations a StatsD line costs in user space. Needs valgrind; takes minutes.")

    @Option(help: "Lines of the longer run, sent in ten seconds.") var lines = 300_000
    @Option(help: "Seed of the lines.") var seed: UInt64 = 42

    func run() throws { try runInstructions(lines: lines, seed: seed) }
}

struct Search: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Builds a store of many spans, serves it, times traces by id and searches over HTTP.",
        discussion: """
            The store is made of one recording of promo-shop, repeated with trace ids, span ids, order numbers and times
            of its own each time.
            """)

    @Option(help: "Spans to store, at least.") var spans = 10_000_000
    @Option(help: "Spans of the recording that is repeated.") var recorded = 100_000
    @Option(help: "Lookups of a trace by id, and searches of each kind but for the slow ones.") var lookups = 2_000
    @Option(help: "Seed of the shop.") var seed = 42
    @Option(help: "A new directory to make the store in and to keep; else a temporary one.") var dataDir: String?

    func run() throws {
        try runSearch(spans: spans, recorded: recorded, lookups: lookups, seed: seed, keptFolder: dataDir)
    }
}

struct Commit: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Group commit: durable requests per second and acknowledgement latency, beside fdatasync alone.",
        discussion: """
            First the disk's own fdatasync is measured, then the store in this process (durability memory, synced, and
            synced on a disk whose every fdatasync takes 5 ms), then crestd over HTTP (memory, synced, half load). Beside
            the half load runs another file's fdatasync every 50 ms.
            """)

    @Option(help: "Connections, each with one request under way.") var connections = 64
    @Option(help: "Seconds of each measurement.") var seconds = 4.0

    func run() throws { try runCommit(connections: max(1, connections), seconds: max(0.1, seconds)) }
}

struct RecoveryTime: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recovery",
        abstract:
            "Seconds until crestd is ready: after a crash with a full log, after a clean stop, with many segments.")

    @Option(help: "MiB of log to recover.") var logMebibytes = 256
    @Option(help: "Small segments of the other directory.") var segments = 10_000

    func run() throws {
        try runRecovery(logBytes: UInt64(max(1, logMebibytes)) << 20, segments: max(1, segments))
    }
}

struct All: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Every measurement, one after another.")

    @OptionGroup var machine: Machine
    @Option(help: "Spans to send, at least.") var spans = 600_000
    @OptionGroup var statsD: StatsDOptions
    @Option(help: "Lookups of a trace by id.") var lookups = 2_000

    func run() throws {
        try runIngest(spans: spans, lookups: lookups, connections: machine.connections, seed: 42)
        try runDatagrams(spans: spans, spansPerSecond: 100_000, seed: 42)
        try runStatsD(statsD.sizes(seed: 42))
        try runSearch(spans: spans, recorded: min(spans, 100_000), lookups: lookups, seed: 42)
        try runCommit(connections: 64, seconds: spans >= 600_000 ? 4 : 0.3)
        let isLong = spans >= 600_000
        try runRecovery(logBytes: isLong ? 256 << 20 : 4 << 20, segments: isLong ? 10_000 : 200)
    }
}

/// The floor of ingest: a server that reads bodies, sums their bytes and answers 200.
struct Sink: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The floor of ingest (started by bench).", shouldDisplay: false)
    func run() throws { try HTTPSink(keep: false).serveForever() }
}

/// The floor of statsd: a loop that drains a socket with recvmmsg and splits the lines.
struct Drain: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "The floor of statsd (started by bench).", shouldDisplay: false)
    func run() throws { try drainForever() }
}

Bench.main()
