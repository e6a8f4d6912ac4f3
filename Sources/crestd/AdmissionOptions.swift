internal import ArgumentParser

/// What may be sent a second before 429 is the answer. Each has a burst of two seconds.
struct AdmissionOptions: ParsableArguments {
    @Option(help: "Bytes of each tenant's bodies as sent: 10MB, or shop=50MB for one; repeatable. (default: none)")
    var tenantBytesPerSecond: [String] = []
    @Option(help: "Spans of each tenant: 50000, or shop=200000 for one; repeatable. (default: none)")
    var tenantSpansPerSecond: [String] = []
    @Option(help: "Bytes of each address (IPv4, or an IPv6 /64) that sends without a token. (default: none)")
    var sourceBytesPerSecond: String?
    @Option(help: "Spans of each such address. (default: none)") var sourceSpansPerSecond: String?

    /// By the names of the settings.
    var texts: [(name: String, values: [String])] {
        [
            ("tenant-bytes-per-second", tenantBytesPerSecond), ("tenant-spans-per-second", tenantSpansPerSecond),
            ("source-bytes-per-second", sourceBytesPerSecond.map { [$0] } ?? []),
            ("source-spans-per-second", sourceSpansPerSecond.map { [$0] } ?? []),
        ].filter { !$0.1.isEmpty }
    }
}
