internal import ArgumentParser

/// Who may use the daemon, and TLS. All of them are paths of files; secrets never stand on a command line.
struct AccessOptions: ParsableArguments {
    @Option(help: "The tokens that are let in, made by crest token; read again on SIGHUP. (default: no tokens)")
    var tokensFile: String?
    @Option(
        help:
            "The certificate of the HTTP and gRPC listeners and its chain, PEM; read again on SIGHUP. (default: no TLS)"
    )
    var tlsCert: String?
    @Option(help: "Its private key, PEM, readable by this user only.") var tlsKey: String?
    @Option(help: "Let in only clients with a certificate of these authorities, PEM.") var tlsClientCa: String?
    @Option(help: "A name, besides localhost, that the Host header may have; may be repeated.")
    var allowHost: [String] = []

    /// By the names of the settings.
    var texts: [(name: String, values: [String])] {
        let all: KeyValuePairs<String, String?> = [
            "tokens-file": tokensFile, "tls-cert": tlsCert, "tls-key": tlsKey, "tls-client-ca": tlsClientCa,
        ]
        let files = all.compactMap { name, value in value.map { (name, [$0]) } }
        return allowHost.isEmpty ? files : files + [("allow-host", allowHost)]
    }
}
