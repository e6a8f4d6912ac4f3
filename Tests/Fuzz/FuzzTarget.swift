/// One decoder under fuzzing: seeds to start from and a check that must hold for any input.
///
/// A new target is a file with an extension of this type and a line in ``all``.
struct FuzzTarget: Sendable {
    let name: String
    /// Valid inputs; mutations start from them.
    let seeds: @Sendable () -> [[UInt8]]
    /// Nil when the input was handled as it should be, else what is wrong. A trap ends the process, which is found too.
    let check: @Sendable ([UInt8]) -> String?

    static let all: [FuzzTarget] = [
        .json,
        .otlpProtobuf,
        .otlpJSON,
        .zipkinJSON,
        .zipkinProtobuf,
        .zipkinV1JSON,
        .zipkinV1Thrift,
        .jaegerThrift,
        .jaegerDatagram,
        .crestDatagram,
        .segment,
        .wal,
        .spanBatch,
        .statsD,
        .otlpMetrics,
        .otlpMetricsJSON,
        .promQL,
        .snappy,
        .remoteWrite,
        .remoteWrite2,
        .gzip,
        .zstd,
        .grpcMessage,
        .grpcHeaders,
        .regex,
        .accept,
        .pageToken,
        .tokenFile,
        .mappingRule,
        .storeFiles,
        .metricsLog,
        .nestedValue,
        .request,
        .configuration,
        .mappingFile,
        .traceParent,
        .clientAnswers,
    ]
}

extension FuzzTarget {
    /// Broken promises of the StatsD reader show as traps.
    static let statsD = FuzzTarget(
        name: "statsd",
        seeds: {
            let datagrams = [
                "order.count:1|c|@0.5|#sku:1,region:eu\norder.process.time:12.5|ms", "stock:-3|g",
                "users:a,b|s|T1700000000",
                "a:1:2:3|d|#x:y|c:abc", "_e{5,4}:title|text|t:warning",
            ]
            return datagrams.map { Array($0.utf8) }
        },
        check: { input in
            _ = fuzzStatsD(input)
            return nil
        })
}
