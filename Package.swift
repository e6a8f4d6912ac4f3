// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .treatAllWarnings(as: .error),
]

let argumentParser = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let httpClient = Target.Dependency.product(name: "AsyncHTTPClient", package: "async-http-client")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")
let metrics = Target.Dependency.product(name: "Metrics", package: "swift-metrics")
let tracing = Target.Dependency.product(name: "Tracing", package: "swift-distributed-tracing")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
]
let http2: [Target.Dependency] = [
    .product(name: "NIOHTTP2", package: "swift-nio-http2"),
    .product(name: "NIOHPACK", package: "swift-nio-http2"),
]
let tls: [Target.Dependency] = [
    .product(name: "NIOSSL", package: "swift-nio-ssl"),
    .product(name: "NIOTLS", package: "swift-nio"),
]

let package = Package(
    name: "crest",
    products: [
        .executable(name: "crestd", targets: ["crestd"]),
        .executable(name: "crest", targets: ["crest"]),
        .executable(name: "promo-shop", targets: ["promo-shop"]),
        .executable(name: "bench", targets: ["bench"]),
        .library(name: "CrestClient", targets: ["CrestClient"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-http2", from: "1.44.1"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-metrics", from: "2.13.0"),
        .package(url: "https://github.com/apple/swift-distributed-tracing", from: "1.7.0"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
    ],
    targets: [
        // 0 bytes
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "CLinux"),
        .target(name: "Bytes", dependencies: ["CZstd", "CZlib", "CLinux"], swiftSettings: settings),
        // 1 nouns
        .target(name: "Telemetry", dependencies: ["Bytes"], swiftSettings: settings),
        // 2 formats
        .target(name: "WireFormats", dependencies: ["Telemetry", "Bytes"], swiftSettings: settings),
        // 3 engines
        .target(name: "MetricsEngine", dependencies: ["Telemetry", "Bytes"], swiftSettings: settings),
        .target(name: "SpanPipeline", dependencies: ["Telemetry"], swiftSettings: settings),
        .target(name: "SegmentStore", dependencies: ["Telemetry", "Bytes", "CLinux"], swiftSettings: settings),
        .target(name: "QueryEngine", dependencies: ["Telemetry", "Bytes"], swiftSettings: settings),
        // 4 joining
        .target(
            name: "Endpoints",
            dependencies: [
                "WireFormats", "MetricsEngine", "SpanPipeline", "QueryEngine", "Telemetry", "Bytes",
            ], swiftSettings: settings),
        .target(
            name: "CrestClient", dependencies: [httpClient, crypto, metrics, tracing] + nio,
            swiftSettings: settings),
        // 5 I/O
        .target(
            name: "Listeners",
            dependencies: ["Endpoints", "WireFormats", "Telemetry", "Bytes", "CLinux"] + nio + http2 + tls,
            swiftSettings: settings),
        .target(
            name: "HostIO", dependencies: ["SegmentStore", "Telemetry", "CLinux"], swiftSettings: settings),
        // 6 wiring
        .target(
            name: "Daemon",
            dependencies: [
                "Listeners", "HostIO", "Endpoints", "SegmentStore", "MetricsEngine", "SpanPipeline", "QueryEngine",
                "WireFormats", "Telemetry", logging, "Yams",
            ], swiftSettings: settings),
        // 7 programs
        .executableTarget(name: "crestd", dependencies: ["Daemon", argumentParser], swiftSettings: settings),
        .executableTarget(
            name: "crest", dependencies: ["SegmentStore", "HostIO", "Telemetry", httpClient, argumentParser] + nio,
            swiftSettings: settings),
        .executableTarget(
            name: "promo-shop", dependencies: ["CrestClient", argumentParser, metrics, tracing],
            swiftSettings: settings),
        .executableTarget(
            name: "bench",
            dependencies: ["WireFormats", "SegmentStore", "HostIO", "Telemetry", "CLinux", argumentParser],
            swiftSettings: settings),
        // tests
        .target(
            name: "TestKit", dependencies: ["SegmentStore", "QueryEngine", "Telemetry", "Bytes"], path: "Tests/TestKit",
            swiftSettings: settings),
        .executableTarget(
            name: "fuzz",
            dependencies: [
                "Daemon", "CrestClient", "Endpoints", "WireFormats", "SegmentStore", "MetricsEngine", "SpanPipeline",
                "QueryEngine", "TestKit", "Telemetry", "Bytes",
            ], path: "Tests/Fuzz", swiftSettings: settings),
        .executableTarget(
            name: "promql-check", dependencies: ["Endpoints", "QueryEngine", "TestKit", "Telemetry"],
            path: "Tests/PromQLCheck", swiftSettings: settings),
    ]
        + tests([
            "BytesTests": [],
            "TelemetryTests": [],
            "WireFormatsTests": ["WireFormats"],
            "MetricsEngineTests": ["MetricsEngine"],
            "SpanPipelineTests": ["SpanPipeline"],
            "SegmentStoreTests": ["SegmentStore", "QueryEngine", "HostIO"],
            "QueryEngineTests": ["QueryEngine"],
            "EndpointsTests": [
                "Endpoints", "WireFormats", "MetricsEngine", "SpanPipeline", "QueryEngine", "SegmentStore",
            ],
            "ListenersTests": ["Listeners", "Endpoints", "CLinux"] + nio + http2,
            "DaemonTests": ["Daemon", "Endpoints", "WireFormats", logging],
            "CrestClientTests": ["CrestClient", "WireFormats", metrics, tracing],
            "TidyTests": [],
        ])
)

/// One test target a module, under Tests/ with the module's name; all share TestKit and the nouns.
func tests(_ modules: KeyValuePairs<String, [Target.Dependency]>) -> [Target] {
    modules.map { name, dependencies in
        .testTarget(
            name: name, dependencies: dependencies + ["TestKit", "Telemetry", "Bytes"],
            swiftSettings: settings)
    }
}
