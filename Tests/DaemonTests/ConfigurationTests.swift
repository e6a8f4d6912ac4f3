import Daemon
import Telemetry
import Testing

@Suite struct ConfigurationTests {
    private func resolve(
        flags: [String: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) throws(StartFailure) -> ResolvedConfiguration {
        try ConfigurationSources(
            flags: flags, environment: environment, configPath: file == nil ? nil : "crest.yaml",
            readFile: { _ in file.map { .text($0) } ?? .failure("no such file") }
        ).resolve()
    }

    private func failure(
        flags: [String: [String]] = [:], environment: [String: String] = [:], file: String? = nil
    ) -> StartFailure? {
        do throws(StartFailure) { _ = try resolve(flags: flags, environment: environment, file: file) } catch {
            return error
        }
        return nil
    }

    @Test("Without arguments the contract's defaults hold")
    func defaults() throws {
        let configuration = try resolve().configuration
        let addresses = ListenerName.allCases.map { "\($0.rawValue)=\(configuration.addresses($0)[0])" }
        #expect(
            addresses == [
                "http=127.0.0.1:8400", "otlp-http=127.0.0.1:4318", "otlp-grpc=127.0.0.1:4317",
                "zipkin=127.0.0.1:9411", "jaeger-http=127.0.0.1:14268", "jaeger-udp=127.0.0.1:6831",
                "statsd=127.0.0.1:8125", "crest-udp=127.0.0.1:8401",
            ])
        #expect(configuration.dataDirectory == "./crest-data")
        #expect(configuration.durability == .synced)
        #expect(configuration.retentionAge == 7 * 86_400 * 1_000_000_000)
        #expect(configuration.retentionSpace == .percent(80))
        #expect(configuration.recorderAge == 86_400 * 1_000_000_000 && configuration.recorderBytes == 1 << 30)
        #expect(configuration.logFormat == .text && configuration.mixedBatch == .retry)
        #expect(try resolve(flags: ["overload-mixed-batch": ["shed"]]).configuration.mixedBatch == .shed)
        #expect(try resolve(environment: ["CREST_OVERLOAD_MIXED_BATCH": "shed"]).configuration.mixedBatch == .shed)
    }

    @Test("A flag wins over the environment, that over the file, that over the default")
    func precedence() throws {
        let file = "data-dir: from-file\nlog-level: error\ndurability: memory\nretention-age: 1h\n"
        let environment = ["CREST_DATA_DIR": "from-environment", "CREST_LOG_LEVEL": "debug"]
        let resolved = try resolve(flags: ["data-dir": ["from-flag"]], environment: environment, file: file)
        #expect(resolved.configuration.dataDirectory == "from-flag")
        #expect(resolved.configuration.logLevel == .debug)
        #expect(resolved.configuration.durability == .memory)
        #expect(resolved.configuration.retentionAge == 3_600 * 1_000_000_000)
        #expect(resolved.origins["data-dir"] == .flag)
        #expect(resolved.origins["log-level"] == .environment)
        #expect(resolved.origins["durability"] == .file(path: "crest.yaml", line: 3))
        #expect(resolved.origins["http"] == .standard)
    }

    @Test("In the file every scalar is text, and a repeatable setting may be a list")
    func yamlScalars() throws {
        let file = "# comment\nstatsd: off\nhttp: \"[::1]:0\"\nretention-bytes: 80%\nmemory-limit: 536870912\n"
        let configuration = try resolve(file: file).configuration
        #expect(configuration.addresses(.statsD) == [.off])
        #expect(configuration.addresses(.http).map(\.description) == ["[::1]:0"])
        #expect(configuration.memoryLimit == 512 << 20 && configuration.memory.bytes == 512 << 20)
        let list = try resolve(file: "statsd: [127.0.0.1:1, 'unixgram:/run/s', \"tcp:127.0.0.1:2\"]\n").configuration
        #expect(list.addresses(.statsD).map(\.description) == ["127.0.0.1:1", "unixgram:/run/s", "tcp:127.0.0.1:2"])
    }

    @Test("An empty file is a good file", arguments: ["", "\n", "# nothing\n", "---\n{}\n"])
    func emptyFile(text: String) { #expect(failure(file: text) == nil) }

    @Test(
        "Errors of the file name the line, and the likely word",
        arguments: [
            ("http: off\nhtpp: off\n", "crest.yaml:2: unknown setting 'htpp'; did you mean 'http'?"),
            ("\n\nretention_age: 7d\n", "crest.yaml:3: unknown setting 'retention_age'; did you mean 'retention-age'?"),
            ("zzzzzzzzzz: 1\n", "crest.yaml:1: unknown setting 'zzzzzzzzzz'"),
            (
                "http: off\ndurability: fsync\n",
                "crest.yaml:2: durability: 'fsync' must be one of synced, interval, memory"
            ),
            (
                "overload-mixed-batch: drop\n",
                "crest.yaml:1: overload-mixed-batch: 'drop' must be one of retry, shed"
            ),
            ("http: [a, b]\n", "crest.yaml:1: http must be HOST:PORT or off"),
            (
                "statsd:\n  - off\n  - {a: b}\n",
                "crest.yaml:3: statsd must be HOST:PORT, unixgram:PATH, tcp:HOST:PORT or off"
            ),
            ("- http\n", "crest.yaml:1: must be a mapping of settings, such as `http: 127.0.0.1:8400`"),
            ("http: 1\n", "crest.yaml:1: http: '1' must be HOST:PORT or off"),
        ])
    func fileErrors(text: String, message: String) {
        #expect(failure(file: text) == StartFailure(.configuration, message))
    }

    @Test(
        "Broken YAML and repeated keys are told with their line",
        arguments: ["http: [\n", "a: b: c\n", "http: off\nhttp: off\n", "\t- x"])
    func brokenFile(text: String) throws {
        let broken = try #require(failure(file: text))
        #expect(broken.code == .configuration)
        #expect(broken.description.hasPrefix("crest.yaml:"))
    }

    @Test("A wrong flag is a usage error, a wrong variable a configuration error")
    func codes() {
        #expect(
            failure(flags: ["http": ["nowhere"]]) == StartFailure(.usage, "--http: 'nowhere' must be HOST:PORT or off"))
        #expect(
            failure(environment: ["CREST_OTLP_HTTP": "x"])
                == StartFailure(.configuration, "CREST_OTLP_HTTP: 'x' must be HOST:PORT or off"))
        let missing = failure(environment: ["CREST_CONFIG": "gone.yaml"])
        #expect(missing == StartFailure(.configuration, "gone.yaml: no such file"))
    }

    @Test("Limits of metric series: defaults, forms, and what is refused")
    func metricLimits() throws {
        let standard = try resolve().configuration.metricLimits
        #expect(standard.series == 1_000_000 && standard.sourceLabels == ["service", "job"])
        #expect(standard.counterExpiry == 86_400_000_000_000 && standard.gaugeExpiry == 900_000_000_000)
        let given = try resolve(
            flags: ["overflow-labels": ["none"], "expire-counters": ["0"]],
            environment: ["CREST_SERIES_LIMIT_FAMILY": "10"], file: "expire-sets: 90s\n")
        #expect(given.configuration.metricLimits.overflowLabels.isEmpty)
        #expect(given.configuration.metricLimits.counterExpiry == 0)
        #expect(given.configuration.metricLimits.seriesPerFamily == 10)
        #expect(given.yaml.contains("expire-sets: 1m30s") && given.yaml.contains("overflow-labels: none"))
        for (name, text) in [
            ("series-limit", "0"), ("series-limit", "many"), ("expire-gauges", "1s"), ("source-labels", "a,,b"),
        ] {
            #expect(failure(flags: [name: [text]])?.code == .usage, "\(name) \(text)")
        }
    }

    @Test("Unknown variables are named, those of other programs are not")
    func strayVariables() throws {
        let environment = ["CREST_STATDS": "off", "CREST_SERVER": "x", "PATH": "/"]
        let warnings = try resolve(environment: environment).warnings
        #expect(warnings == ["unknown variable CREST_STATDS in the environment is ignored; did you mean CREST_STATSD?"])
    }

    @Test(
        "Addresses that other machines reach are refused unless that is asked for",
        arguments: [
            "0.0.0.0:8400", "[::]:8400", "10.0.0.1:1", "example.org:80", "127.0.0.1.example.org:80", "128.0.0.1:1",
        ])
    func remoteBind(address: String) {
        #expect(failure(flags: ["http": [address]])?.code == .configuration)
        #expect(failure(flags: ["http": [address], "insecure-bind": ["true"]]) == nil)
        #expect(failure(flags: ["statsd": ["127.0.0.1:1", "tcp:\(address)"]])?.code == .configuration)
    }

    @Test(
        "Loopback is free to use",
        arguments: ["127.0.0.1:0", "127.9.9.9:1", "[::1]:1", "localhost:1", "LOCALHOST:1", "off"])
    func loopback(address: String) { #expect(failure(flags: ["http": [address]]) == nil) }

    @Test("What is printed is a file that gives the same configuration")
    func printed() throws {
        let flags = [
            "statsd": ["127.0.0.1:1", "unixgram:/tmp/a b"], "data-dir": ["it's: #1"], "http": ["[::1]:0"],
            "retention-age": ["forever"], "retention-bytes": ["1000000001"], "log-format": ["json"],
        ]
        let resolved = try resolve(flags: flags)
        let again = try resolve(file: resolved.yaml)
        #expect(again.configuration == resolved.configuration)
        #expect(resolved.yaml.contains("log-format: json  # flag\n"))
        #expect(resolved.yaml.contains("durability: synced  # default\n"))
    }

    @Test("The recorder is kept for a time, for ever, or off")
    func recorder() throws {
        #expect(try resolve(flags: ["recorder-age": ["off"]]).configuration.recorderAge == 0)
        #expect(try resolve(flags: ["recorder-age": ["forever"]]).configuration.recorderAge == nil)
        #expect(try resolve(flags: ["recorder-bytes": ["10GB"]]).configuration.recorderBytes == 10_000_000_000)
        #expect(failure(flags: ["recorder-age": ["0s"]])?.code == .usage)
        let again = try resolve(file: resolve(flags: ["recorder-age": ["off"]]).yaml)
        #expect(again.configuration.recorderAge == 0)
    }

    @Test("The number of StatsD workers is auto or a number in its bounds")
    func workers() throws {
        #expect(try resolve().configuration.statsDWorkers == nil)
        #expect(try resolve(flags: ["statsd-workers": ["3"]]).configuration.statsDWorkers == 3)
        #expect(try resolve(flags: ["statsd-workers": ["3"]]).yaml.contains("statsd-workers: 3  # flag\n"))
        for text in ["0", "65", "-1", "many", ""] {
            #expect(failure(flags: ["statsd-workers": [text]])?.code == .usage)
        }
    }

    @Test(
        "Sizes and durations", arguments: [("90s", 90), ("1h30m", 5_400), ("1w", 604_800), ("2d", 172_800)])
    func durations(text: String, seconds: UInt64) throws {
        #expect(try resolve(flags: ["retention-age": [text]]).configuration.retentionAge == seconds * 1_000_000_000)
    }

    @Test(
        "Other durations and sizes are refused",
        arguments: ["", "7", "d", "-1d", "7 d", "0s", "1.5h", "99999999999999w", "٣d"])
    func badDurations(text: String) {
        #expect(failure(flags: ["retention-age": [text]])?.code == .usage)
    }

    @Test(
        "Sizes outside of their bounds are refused", arguments: ["", "0", "101%", "0%", "5XB", "-1", "99999999999TB"])
    func badSizes(text: String) {
        #expect(failure(flags: ["retention-bytes": [text]])?.code == .usage)
    }
}
