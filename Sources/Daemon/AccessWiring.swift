internal import Endpoints
internal import Listeners
internal import Logging
internal import Telemetry

extension CrestDaemon {
    static let httpRoles: KeyValuePairs<ListenerName, ListenerRole> = [
        .http: .http, .otlpHTTP: .otlpHTTP, .zipkin: .zipkin, .jaegerHTTP: .jaegerHTTP,
    ]

    /// Listeners on a loopback address answer only to names that are theirs; others do so when names are given.
    static func accessControl(_ configuration: Configuration) -> AccessControl {
        let settings = configuration.access
        var hosts: [ListenerRole: HostAllowlist] = [:]
        for (name, role) in httpRoles {
            for case .internet(let address) in configuration.addresses(name)
            where address.isLoopback || !settings.hosts.isEmpty {
                hosts[role] = HostAllowlist(settings.hosts)
            }
        }
        return AccessControl(policy: settings.contents.policy, hosts: hosts)
    }

    static func tlsServer(_ settings: AccessSettings) throws(StartFailure) -> TLSServer? {
        guard let files = settings.contents.tls else { return nil }
        do { return try TLSServer(files) } catch { throw StartFailure(.configuration, "\(error)") }
    }

    /// New tokens count from the next request on, a new certificate from the next connection on.
    func apply(_ settings: AccessSettings) {
        // Whether there are tokens and TLS at all was checked against the addresses that are bound.
        guard settings.namesSameFiles(as: configuration.access) else { return }
        if let policy = settings.contents.policy { access.replace(policy) }
        guard let tls, let files = settings.contents.tls else { return }
        do { try tls.reload(files) } catch { log.error("the certificate was not reloaded: \(error)") }
    }
}

extension TLSServer {
    var families: [SelfMetricFamily] {
        [
            .counter("crest_tls_handshakes_total", "TLS handshakes that succeeded.", handshakes),
            .counters(
                "crest_tls_handshake_failures_total", "TLS handshakes that failed.", by: "reason",
                failures.map { ($0.reason, $0.count) }),
            .gauge(
                "crest_tls_certificate_expiry_timestamp_seconds", "When the server's certificate expires, Unix time.",
                Double(expiresUnixSeconds)),
        ]
    }
}
