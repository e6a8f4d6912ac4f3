internal import ArgumentParser

/// How long and how much of each class of traces is kept, where that differs from the rest.
///
/// A trace is in the highest class of any of its spans: pinned, error (status error), slow, ordinary.
struct ClassOptions: ParsableArguments {
    @Option(help: "How long traces with an error are kept: 30d, forever. (default: as --retention-age)")
    var retentionErrorsAge: String?
    @Option(help: "How much of them: 40GB, 20%; beyond it the oldest go. (default: as --retention-bytes)")
    var retentionErrorsBytes: String?
    @Option(help: "How long slow traces are kept. (default: as --retention-age)") var retentionSlowAge: String?
    @Option(help: "How much of them. (default: as --retention-bytes)") var retentionSlowBytes: String?
    @Option(help: "How long all other traces are kept. (default: as --retention-age)")
    var retentionOrdinaryAge: String?
    @Option(
        help: """
            How much of them; before it is full half of the oldest go, the others count twice, and so on. \
            (default: as --retention-bytes, and nothing is thinned)
            """)
    var retentionOrdinaryBytes: String?
    @Option(help: "Bytes of pinned traces from which no more can be pinned. (default: none)")
    var retentionPinnedBytes: String?
    @Option(help: "How long a span takes for its trace to be slow. (default: 1s)") var slowThreshold: String?

    /// By the names of the settings.
    var texts: [(name: String, value: String)] {
        let all: KeyValuePairs<String, String?> = [
            "retention-errors-age": retentionErrorsAge, "retention-errors-bytes": retentionErrorsBytes,
            "retention-slow-age": retentionSlowAge, "retention-slow-bytes": retentionSlowBytes,
            "retention-ordinary-age": retentionOrdinaryAge, "retention-ordinary-bytes": retentionOrdinaryBytes,
            "retention-pinned-bytes": retentionPinnedBytes, "slow-threshold": slowThreshold,
        ]
        return all.compactMap { name, value in value.map { (name, $0) } }
    }
}
