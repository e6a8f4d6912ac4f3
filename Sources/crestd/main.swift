internal import ArgumentParser
internal import Daemon
internal import Glibc

/// The command line of the daemon: flags to settings, nothing else.
struct Crestd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crestd", abstract: "Takes traces and metrics, keeps them, and answers questions about them.",
        discussion: """
            A listener's value is HOST:PORT, HOST:0 for any free port, or off. Every flag is also a key of the \
            configuration file and, in upper case after CREST_, a variable of the environment.

            Examples:
              crestd --data-dir /var/lib/crest --retention-age 7d --retention-bytes 80%
              crestd --http 127.0.0.1:0 --statsd off --log-format json
              crestd --config /etc/crest.yaml --check-config
            """, version: "crestd \(CrestVersion.text)")

    @Option(help: "Everything over HTTP. (default: 127.0.0.1:8400)") var http: String?
    @Option(help: "OTLP over HTTP. (default: 127.0.0.1:4318)") var otlpHttp: String?
    @Option(help: "OTLP over gRPC: HTTP/2, with prior knowledge or TLS. (default: 127.0.0.1:4317)") var otlpGrpc:
        String?
    @Option(help: "Zipkin v1 and v2. (default: 127.0.0.1:9411)") var zipkin: String?
    @Option(help: "Jaeger thrift over HTTP. (default: 127.0.0.1:14268)") var jaegerHttp: String?
    @Option(help: "Jaeger thrift datagrams. (default: 127.0.0.1:6831)") var jaegerUdp: String?
    @Option(help: "StatsD lines: HOST:PORT, unixgram:PATH, tcp:HOST:PORT; repeatable. (default: 127.0.0.1:8125)")
    var statsd: [String] = []
    @Option(help: "Threads of a StatsD UDP address. (default: 1 on two cores, else half of them, at most 4)")
    var statsdWorkers: String?
    @Option(help: "Crest's own datagrams: spans and lines, loss counted. (default: 127.0.0.1:8401)")
    var crestUdp: String?
    @Option(help: "A file with the key that Crest's datagrams must be authenticated with.") var crestUdpKeyFile: String?
    @Option(help: "Where everything is kept. (default: ./crest-data)") var dataDir: String?
    @Option(help: "A YAML file of settings.") var config: String?
    @Flag(help: "Check the configuration and exit: 0 good, 78 bad.") var checkConfig = false
    @Flag(help: "Print the configuration with the source of each value and exit.") var printConfig = false
    @Option(help: "What an answer promises: synced, interval, memory. (default: synced)") var durability: String?
    @Option(help: "What buffers and caches may use together. (default: 512MiB)") var memoryLimit: String?
    @Option(help: "How long spans are kept: 7d, 12h, forever. (default: 7d)") var retentionAge: String?
    @Option(help: "How much is kept: 100GB, or a share of the disk. (default: 80%)") var retentionBytes: String?
    @OptionGroup(title: "Retention by class") var classes: ClassOptions
    @Option(help: "How long snapshots are kept: 30d, forever. (default: 30d)") var snapshotAge: String?
    @Option(help: "How long every second of the metrics is kept: 24h, 7d, forever, off. (default: 24h)")
    var recorderAge: String?
    @Option(help: "How much disk the recorded seconds may take: 10GB. (default: 1GiB)") var recorderBytes: String?
    @Option(help: "text or json, for the log and the ready line. (default: text)") var logFormat: String?
    @Option(help: "debug, info, warning or error. (default: info)") var logLevel: String?
    @Option(help: "Whose marks on StatsD lines are undone: auto, micrometer, plain. (default: auto)")
    var statsdProfile: String?
    @Option(help: "What g:-5|g means: auto, delta, absolute. (default: auto)") var statsdGaugeSign: String?
    @Option(help: "A mapping file, or spring-http; may be repeated. Read again on SIGHUP.")
    var statsdMapping: [String] = []
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Limits of metric series") var metricLimits: MetricLimitOptions
    @Flag(help: "Allow addresses that other machines reach, without TLS or tokens.") var insecureBind = false

    var program: DaemonProgram {
        let single: KeyValuePairs<String, String?> = [
            "http": http, "otlp-http": otlpHttp, "otlp-grpc": otlpGrpc, "zipkin": zipkin, "jaeger-http": jaegerHttp,
            "jaeger-udp": jaegerUdp, "statsd-workers": statsdWorkers, "crest-udp": crestUdp, "data-dir": dataDir,
            "durability": durability, "memory-limit": memoryLimit, "retention-age": retentionAge,
            "retention-bytes": retentionBytes, "snapshot-age": snapshotAge, "recorder-age": recorderAge,
            "recorder-bytes": recorderBytes, "log-format": logFormat, "log-level": logLevel,
            "insecure-bind": insecureBind ? "true" : nil, "statsd-profile": statsdProfile,
            "statsd-gauge-sign": statsdGaugeSign, "crest-udp-key-file": crestUdpKeyFile,
        ]
        var flags = ["statsd": statsd, "statsd-mapping": statsdMapping].filter { !$0.value.isEmpty }
        for (name, values) in access.texts { flags[name] = values }
        for (name, value) in classes.texts { flags[name] = [value] }
        for (name, value) in Array(single) + metricLimits.settings { if let value { flags[name] = [value] } }
        return DaemonProgram(
            flags: flags, configPath: config,
            task: checkConfig ? .checkConfiguration : printConfig ? .printConfiguration : .run)
    }
}

do {
    exit(try Crestd.parse().program.run().rawValue)
} catch {
    // Help and version end well; a wrong command line has its own code in our contract.
    guard Crestd.exitCode(for: error) != .success else { Crestd.exit(withError: error) }
    exit(DaemonProgram.refuse(Crestd.fullMessage(for: error)).rawValue)
}
