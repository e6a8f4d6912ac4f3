internal import Endpoints
internal import HostIO
internal import Listeners
internal import Telemetry

/// Who may use the daemon and how it is reached: paths of files, read when the sources are resolved.
package struct AccessSettings: Hashable, Sendable {
    /// Nil: not set.
    package var tokensFile: String?
    package var certificateFile: String?
    package var keyFile: String?
    package var clientAuthorityFile: String?
    /// Names besides `localhost` by which listeners may be spoken to.
    package var hosts: [String] = []
    /// What stands in the files.
    package var contents = AccessContents()

    package init() {}

    /// Tokens and TLS are both there: HTTP may be reached from other machines.
    var isComplete: Bool { tokensFile != nil && certificateFile != nil }

    /// The same but for what stands in the files.
    func namesSameFiles(as other: AccessSettings) -> Bool {
        tokensFile == other.tokensFile && certificateFile == other.certificateFile && keyFile == other.keyFile
            && clientAuthorityFile == other.clientAuthorityFile
    }
}

/// Contents of secret files; prints as nothing.
package struct AccessContents: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    var tokens: String?
    var tls: TLSServer.Files?

    package init() {}

    package var description: String { "***" }
    package var debugDescription: String { "***" }

    /// - Throws: nothing once the sources are resolved; they have been read then.
    var policy: AccessPolicy? {
        tokens.flatMap { try? TokenFile($0) }.map { AccessPolicy($0) }
    }
}

extension AccessSettings {
    /// Reads the files and looks whether they can be used.
    mutating func load(_ readFile: (String) -> ConfigurationSources.FileText) throws(StartFailure) {
        if let tokensFile {
            let text = try Self.read(tokensFile, "tokens-file", readFile)
            do { _ = try TokenFile(text) } catch {
                throw StartFailure(.configuration, "--tokens-file: \(tokensFile): \(error)")
            }
            contents.tokens = text
        }
        guard certificateFile != nil || keyFile != nil || clientAuthorityFile != nil else { return }
        guard let certificateFile, let keyFile else {
            throw StartFailure(.configuration, "--tls-cert and --tls-key go together; one of them is missing")
        }
        var files = TLSServer.Files(
            certificates: Array(try Self.read(certificateFile, "tls-cert", readFile).utf8),
            key: Array(try Self.read(keyFile, "tls-key", readFile).utf8))
        if let clientAuthorityFile {
            files.clientAuthorities = Array(try Self.read(clientAuthorityFile, "tls-client-ca", readFile).utf8)
        }
        do { _ = try TLSServer(files) } catch {
            let flag: String
            switch error {
            case .certificates: flag = "--tls-cert: \(certificateFile)"
            case .key, .mismatch: flag = "--tls-key: \(keyFile)"
            case .clientAuthorities: flag = "--tls-client-ca: \(clientAuthorityFile ?? "")"
            }
            throw StartFailure(.configuration, "\(flag): \(error)")
        }
        contents.tls = files
    }

    private static func read(
        _ path: String, _ flag: String, _ readFile: (String) -> ConfigurationSources.FileText
    ) throws(StartFailure) -> String {
        // Whoever may write these files may let himself in, and whoever may read the key can play the server.
        let forbidden: UInt32 = flag == "tls-key" ? 0o027 : 0o022
        if let mode = HostProcess.fileMode(path), mode & forbidden != 0 {
            let fix = flag == "tls-key" ? "chmod 600" : "chmod go-w"
            throw StartFailure(.configuration, "--\(flag): \(path): other users have too many rights to it; \(fix)")
        }
        switch readFile(path) {
        case .text(let text): return text
        case .failure(let reason): throw StartFailure(.configuration, "--\(flag): \(path): \(reason)")
        }
    }
}

extension Setting {
    static let access: [Setting] = [
        file("tokens-file", "a file of tokens", \.access.tokensFile),
        file("tls-cert", "a PEM file of certificates", \.access.certificateFile),
        file("tls-key", "a PEM file of a private key", \.access.keyFile),
        file("tls-client-ca", "a PEM file of certificates", \.access.clientAuthorityFile),
        Setting(
            name: "allow-host", defaults: [], isRepeatable: true, form: "must be a host name without a port",
            apply: { configuration, texts in
                configuration.access.hosts = texts
                return texts.allSatisfy { isHostName($0) }
            }, texts: { $0.access.hosts }),
    ]

    private static func file(
        _ name: String, _ what: String, _ path: any WritableKeyPath<Configuration, String?> & Sendable
    ) -> Setting {
        Setting(
            name: name, defaults: [], isRepeatable: false, form: "must be \(what)",
            apply: { configuration, texts in
                configuration[keyPath: path] = texts.last.flatMap { $0.isEmpty ? nil : $0 }
                return true
            }, texts: { [$0[keyPath: path] ?? ""] })
    }

    private static func isHostName(_ text: String) -> Bool {
        (1...253).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                (97...122).contains(byte) || (65...90).contains(byte) || (48...57).contains(byte)
                    || ".-_".utf8.contains(byte)
            }
    }
}
