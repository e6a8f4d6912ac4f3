extension FuzzTarget {
    /// Of the daemon and the client library, which stand on more than the engines.
    static let outer: [FuzzTarget] = [
        .configuration,
        .mappingFile,
        .traceParent,
        .clientAnswers,
    ]
}
