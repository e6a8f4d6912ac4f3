internal import ArgumentParser
internal import CrestClient
internal import Glibc

/// Parses, runs, and ends with 2 for a usage error (the parser's own code is 64).
@main
enum Program {
    static func main() async {
        do {
            let command = try PromoShop.parse()
            try await command.run()
        } catch {
            let code = PromoShop.exitCode(for: error)
            if code == .validationFailure {
                warn(PromoShop.fullMessage(for: error))
                exit(2)
            }
            PromoShop.exit(withError: error)
        }
    }
}

/// One line on standard error.
private func warn(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// `promo-shop`: a seeded day of a flash sale, reported as spans over OTLP and metrics over DogStatsD.
struct PromoShop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promo-shop",
        abstract: "A flash sale in one process: ten simulated services that report spans and metrics.",
        discussion: """
            The rate is even until midnight, jumps to PEAK times itself, holds, and falls back. \
            The same seed gives the same requests, decisions and totals. \
            Progress goes to stderr, the totals as JSON to stdout.

            EXAMPLES:
              promo-shop
              promo-shop --rate 200 --peak 20x --duration 1m --seed 7
              promo-shop --otlp http://127.0.0.1:8400 | jq .spans_dropped
              promo-shop --datagrams 127.0.0.1:8401
              promo-shop --oversell      (breaks the stock's lock)

            CREST_TOKEN in the environment is sent as the bearer token of the spans.

            EXIT CODES: 0 done, 1 no span was acknowledged, 2 usage
            """)

    @Option(help: ArgumentHelp("Requests a second before midnight.", valueName: "number"))
    var rate = 50.0

    @Option(help: ArgumentHelp("How many times the rate the peak is.", valueName: "factor"))
    var peak = PeakArgument(factor: 50)

    @Option(help: ArgumentHelp("How long the day is: 10, 10s, 1m.", valueName: "time"))
    var duration = DurationArgument(seconds: 10)

    @Option(help: ArgumentHelp("Share of the day before midnight, 0 to 1.", valueName: "fraction"))
    var rampAt = 0.5

    @Option(help: ArgumentHelp("The same seed, the same day.", valueName: "number"))
    var seed: UInt64 = 42

    @Option(help: ArgumentHelp("Where spans go (OTLP over HTTP).", valueName: "url"))
    var otlp = "http://127.0.0.1:4318"

    @Option(
        help: ArgumentHelp("Send spans as Crest datagrams to this address instead.", valueName: "host:port"))
    var datagrams: String?

    @Option(help: ArgumentHelp("Bytes of one datagram of spans, 512 to 65507.", valueName: "number"))
    var datagramBytes = 1_400

    @Option(help: ArgumentHelp("The key of crestd --crest-udp-key-file.", valueName: "file"))
    var datagramKeyFile: String?

    @Option(help: ArgumentHelp("Where metrics go (DogStatsD over UDP).", valueName: "host:port"))
    var statsd = "127.0.0.1:8125"

    @Flag(help: "Deduct stock without its lock, so that products are sold too often.")
    var oversell = false

    @Flag(help: "No progress on stderr.")
    var quiet = false

    func validate() throws {
        guard rate.isFinite, rate > 0, rate <= 100_000 else {
            throw ValidationError("--rate: want a number above 0, at most 100000")
        }
        guard (512...65_507).contains(datagramBytes) else {
            throw ValidationError("--datagram-bytes: want a number from 512 to 65507")
        }
        guard rampAt >= 0, rampAt <= 1 else { throw ValidationError("--ramp-at: want a number from 0 to 1") }
    }

    /// The file without its last line feed, as `crestd` reads it.
    private func key(inFile path: String) throws -> [UInt8] {
        guard let file = fopen(path, "rb") else { throw ValidationError("--datagram-key-file: cannot read \(path)") }
        defer { fclose(file) }
        var buffer = [UInt8](repeating: 0, count: 8_192)
        let count = fread(&buffer, 1, buffer.count, file)
        let key = buffer.prefix(count)
        return Array(key.last == UInt8(ascii: "\n") ? key.dropLast() : key)
    }

    func run() async throws {
        let exporter: OTLPExporter
        let metricsClient: StatsDClient
        do {
            var configuration = OTLPExporter.Configuration(endpoint: otlp)
            if let token = getenv("CREST_TOKEN") {
                configuration.headers = [("authorization", "Bearer " + String(cString: token))]
            }
            configuration.maximumQueuedSpans = 200_000
            configuration.maximumQueuedBytes = 128 << 20
            if let datagrams {
                var options = OTLPExporter.DatagramOptions(address: datagrams)
                options.maximumBytes = datagramBytes
                if let datagramKeyFile { options.key = try key(inFile: datagramKeyFile) }
                configuration.datagrams = options
            }
            exporter = try OTLPExporter(configuration)
            metricsClient = try StatsDClient(.init(address: statsd))
        } catch {
            throw ValidationError("\(error)")
        }
        let settings = Shop.Settings(
            seed: seed,
            schedule: Schedule(rate: rate, peak: peak.factor, duration: duration.seconds, rampAt: rampAt),
            oversells: oversell, runSalt: UInt64.random(in: .min ... .max))
        let metrics = ShopMetrics(metricsClient)
        let shop = Shop(settings, metrics: metrics)
        var day = Day(shop: shop, exporter: exporter)
        let began = ContinuousClock.now
        let totals = await day.run { time, totals in
            if !quiet { report(time, totals, exporter.statistics) }
        }
        metricsClient.shutdown()
        if !quiet, exporter.statistics.pending > 0 {
            warn("promo-shop: sending the last \(exporter.statistics.pending) spans, for up to 15 s")
        }
        let sent = await exporter.shutdown(within: .seconds(15))
        let elapsed = (ContinuousClock.now - began) / .seconds(1)
        print(
            totals.json(
                settings, metrics: metrics.totals, elapsed: elapsed, spans: sent,
                lines: metricsClient.statistics))
        guard sent.acknowledged + sent.sent > 0 || totals.spans == 0 else {
            warn("promo-shop: \(datagrams ?? otlp) took none of \(totals.spans) spans; is the server running?")
            throw ExitCode(1)
        }
    }

    private func report(_ time: Double, _ totals: Totals, _ sent: SpanStatistics) {
        let kinds = Shop.Kind.allCases.map { "\($0.rawValue) \(totals.kinds[$0] ?? 0)" }.joined(separator: ", ")
        warn(
            "\(Int(time))s: \(totals.requests) requests (\(kinds)), \(totals.spans) spans, "
                + "\(sent.acknowledged + sent.sent) acknowledged or sent, \(sent.dropped.total) dropped")
    }
}
