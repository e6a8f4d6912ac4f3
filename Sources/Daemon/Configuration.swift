package import Endpoints
package import Telemetry
package import WireFormats

/// Everything about the daemon that can be set, with the defaults of a start without arguments.
package struct Configuration: Hashable, Sendable {
    package enum LogFormat: String, CaseIterable, Sendable {
        case text
        case json
    }

    package enum LogLevel: String, CaseIterable, Sendable {
        case debug
        case info
        case warning
        case error
    }

    /// How much the store may keep.
    package enum Space: Hashable, Sendable {
        case bytes(UInt64)
        /// Of the file system that the data directory is on, 1...100.
        case percent(UInt64)
    }

    /// By setting name, in the order of the ready line. Only `statsd` may have more than one address.
    package var listeners: [ListenerName: [ListenerAddress]] = [:]
    /// Sockets and threads of each UDP address of `--statsd`; nil: by the number of cores.
    package var statsDWorkers: Int?
    package var dataDirectory = ""
    package var durability = Durability.synced
    package var mixedBatch = MixedBatch.retry
    /// Nil: by the limit of the control group.
    package var memoryLimit: UInt64?
    /// What that comes to, filled in when the sources are resolved.
    package var memory = MemoryLimit(setting: nil, groupBytes: nil, machineBytes: nil)
    package var rates = AdmissionRates()
    package var logFormat = LogFormat.text
    package var logLevel = LogLevel.info
    /// Nanoseconds from arrival; nil: for ever.
    package var retentionAge: UInt64?
    package var retentionSpace = Space.percent(80)
    package var classRules = ClassRules()
    /// Nanoseconds after which a snapshot is removed; nil: never.
    package var snapshotAge: UInt64?
    /// Nanoseconds that recorded seconds are kept; nil: for ever, 0: nothing is recorded.
    package var recorderAge: UInt64?
    package var recorderBytes: UInt64 = 0
    package var allowsInsecureBind = false
    package var access = AccessSettings()
    package var statsDProfile = StatsDProfile.auto
    package var gaugeSign = StatsDDialect.GaugeSign.auto
    /// Paths of mapping files, or names of those that come with the program, in the order they are applied.
    package var statsDMappings: [String] = []
    /// What stands in them, filled in when the sources are resolved.
    package var statsDMappingTexts: [String] = []
    package var metricLimits = MetricLimits()
    /// Where the key of authenticated Crest datagrams stands; empty: any datagram is taken.
    package var crestUDPKeyFile = ""
    /// What stands there, filled in when the sources are resolved.
    package var crestUDPKey: [UInt8]?

    package init() {}

    package func addresses(_ name: ListenerName) -> [ListenerAddress] { listeners[name] ?? [] }
}

/// The listeners there are, in the order of the ready line. The raw value is the flag without its dashes.
package enum ListenerName: String, CaseIterable, Sendable {
    case http
    case otlpHTTP = "otlp-http"
    case otlpGRPC = "otlp-grpc"
    case zipkin
    case jaegerHTTP = "jaeger-http"
    case jaegerUDP = "jaeger-udp"
    case statsD = "statsd"
    case crestUDP = "crest-udp"

    var defaultPort: UInt16 {
        switch self {
        case .http: 8_400
        case .otlpHTTP: 4_318
        case .otlpGRPC: 4_317
        case .zipkin: 9_411
        case .jaegerHTTP: 14_268
        case .jaegerUDP: 6_831
        case .statsD: 8_125
        case .crestUDP: 8_401
        }
    }

    /// False for listeners that this version accepts in the configuration and does not bind.
    package var isBuilt: Bool {
        switch self {
        case .http, .otlpHTTP, .otlpGRPC, .zipkin, .jaegerHTTP, .jaegerUDP, .statsD, .crestUDP: true
        }
    }
}
