internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// The TLS side of listeners: certificate and key, perhaps the authority of the clients, and what became of handshakes.
///
/// TLS 1.3 or 1.2 with forward secrecy and authenticated encryption only. A reload counts for new connections; the ones
/// that are open stay as they are.
package final class TLSServer: Sendable {
    /// The bytes of PEM files.
    package struct Files: Hashable, Sendable {
        /// The server's certificate, then those that lead to its authority.
        package var certificates: [UInt8]
        package var key: [UInt8]
        /// When given, only clients with a certificate of one of these authorities are let in.
        package var clientAuthorities: [UInt8]?

        package init(certificates: [UInt8], key: [UInt8], clientAuthorities: [UInt8]? = nil) {
            self.certificates = certificates
            self.key = key
            self.clientAuthorities = clientAuthorities
        }
    }

    /// Which of the files cannot be used.
    package enum Fault: Error, Hashable, Sendable, CustomStringConvertible {
        case certificates
        case key
        case clientAuthorities
        case mismatch

        package var description: String {
            switch self {
            case .certificates: "the certificate file holds no certificate in PEM form"
            case .key: "the key file holds no private key in PEM form, or one with a passphrase"
            case .clientAuthorities: "the file of client authorities holds no certificate in PEM form"
            case .mismatch: "the key does not belong to the certificate, or one of them cannot be used"
            }
        }
    }

    /// What is spoken inside, as ALPN names it. A client that offers only others finds out by itself.
    enum Inside: String, CaseIterable, Sendable {
        case http1 = "http/1.1"
        case http2 = "h2"
    }

    private struct Current: Sendable {
        var contexts: [Inside: NIOSSLContext]
        var expiresUnixSeconds: Int64
    }

    private let current: Mutex<Current>
    let counts = TLSCounts()
    /// From the connection to the end of the handshake; longer: closed.
    let handshakeTimeout: Duration

    package init(_ files: Files, handshakeTimeout: Duration = .seconds(10)) throws(Fault) {
        self.handshakeTimeout = handshakeTimeout
        current = Mutex(try Self.load(files))
    }

    /// Uses other files for new connections; on an error the old ones stay.
    package func reload(_ files: Files) throws(Fault) {
        let next = try Self.load(files)
        current.withLock { $0 = next }
    }

    /// When the server's certificate expires.
    package var expiresUnixSeconds: Int64 { current.withLock { $0.expiresUnixSeconds } }
    package var handshakes: UInt64 { counts.handshakes.load(ordering: .relaxed) }
    package var failures: [(reason: String, count: UInt64)] { counts.failures }

    /// What stands at the outer end of a new connection's pipeline.
    func handlers(for inside: Inside) throws -> [any ChannelHandler] {
        guard let context = current.withLock({ $0.contexts[inside] }) else { throw ChannelError.operationUnsupported }
        return [NIOSSLServerHandler(context: context), TLSGate(counts: counts, timeout: handshakeTimeout)]
    }

    private static func load(_ files: Files) throws(Fault) -> Current {
        let chain = certificates(files.certificates)
        guard let leaf = chain.first else { throw .certificates }
        guard let key = try? NIOSSLPrivateKey(bytes: files.key, format: .pem) else { throw .key }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.cipherSuites = "ECDHE+AESGCM:ECDHE+CHACHA20"
        configuration.shutdownTimeout = .seconds(2)
        if let authorities = files.clientAuthorities {
            let trusted = certificates(authorities)
            guard !trusted.isEmpty else { throw .clientAuthorities }
            configuration.trustRoots = .certificates(trusted)
            configuration.certificateVerification = .noHostnameVerification
        }
        var current = Current(contexts: [:], expiresUnixSeconds: Int64(leaf.notValidAfter))
        for inside in Inside.allCases {
            configuration.applicationProtocols = [inside.rawValue]
            do { current.contexts[inside] = try NIOSSLContext(configuration: configuration) } catch { throw .mismatch }
        }
        return current
    }

    private static func certificates(_ pem: [UInt8]) -> [NIOSSLCertificate] {
        (try? NIOSSLCertificate.fromPEMBytes(pem)) ?? []
    }
}

/// What became of handshakes.
final class TLSCounts: Sendable {
    /// The raw value is the `reason` label of `crest_tls_handshake_failures_total`.
    enum Failure: String, CaseIterable, Sendable {
        /// No TLS at all, or no version, cipher or certificate that both sides take.
        case refused
        /// The peer went away before the end of the handshake.
        case closed
        case timeout
    }

    let handshakes = Atomic<UInt64>(0)
    private let refused = Atomic<UInt64>(0)
    private let closed = Atomic<UInt64>(0)
    private let timeout = Atomic<UInt64>(0)

    func add(_ failure: Failure) {
        switch failure {
        case .refused: refused.add(1, ordering: .relaxed)
        case .closed: closed.add(1, ordering: .relaxed)
        case .timeout: timeout.add(1, ordering: .relaxed)
        }
    }

    var failures: [(reason: String, count: UInt64)] {
        [
            (Failure.refused.rawValue, refused.load(ordering: .relaxed)),
            (Failure.closed.rawValue, closed.load(ordering: .relaxed)),
            (Failure.timeout.rawValue, timeout.load(ordering: .relaxed)),
        ]
    }
}
