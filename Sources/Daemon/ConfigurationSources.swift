internal import Telemetry

/// Where settings come from. A flag wins over the environment, that over the file, that over the default.
package struct ConfigurationSources: Sendable {
    /// Texts by setting name, as given on the command line.
    package var flags: [String: [String]]
    package var environment: [String: String]
    /// The value of `--config`; nil: `CREST_CONFIG`, and without that no file.
    package var configPath: String?
    /// Reads a file; nil when it cannot be read.
    package var readFile: @Sendable (String) -> FileText

    /// What became of reading a file.
    package enum FileText: Sendable {
        case text(String)
        case failure(String)
    }

    package init(
        flags: [String: [String]] = [:], environment: [String: String] = [:], configPath: String? = nil,
        readFile: @escaping @Sendable (String) -> FileText = { _ in .failure("no such file") }
    ) {
        self.flags = flags
        self.environment = environment
        self.configPath = configPath
        self.readFile = readFile
    }

    /// The configuration with the source of each setting.
    /// - Throws: with the exit code `usage` when a flag is wrong, `configuration` when anything else is.
    package func resolve() throws(StartFailure) -> ResolvedConfiguration {
        let file = try loadFile()
        var resolved = ResolvedConfiguration(configuration: Configuration(), origins: [:], warnings: strayVariables)
        for setting in Setting.all {
            let (texts, origin) = value(of: setting, in: file)
            guard setting.apply(&resolved.configuration, texts) else {
                let given = texts.map { "'\($0)'" }.joined(separator: ", ")
                let code: ExitCode = if case .flag = origin { .usage } else { .configuration }
                throw StartFailure(code, "\(origin.label(setting)): \(given) \(setting.form)")
            }
            resolved.origins[setting.name] = origin
        }
        try checkReach(resolved)
        try resolved.configuration.access.load(readFile)
        try loadMappings(&resolved)
        try loadDatagramKey(&resolved.configuration)
        return resolved
    }

    private func loadFile() throws(StartFailure) -> (path: String, content: ConfigurationFile)? {
        guard let path = configPath ?? environment["CREST_CONFIG"] else { return nil }
        switch readFile(path) {
        case .text(let text): return (path, try ConfigurationFile(text, path: path))
        case .failure(let reason): throw StartFailure(.configuration, "\(path): \(reason)")
        }
    }

    private func loadMappings(_ resolved: inout ResolvedConfiguration) throws(StartFailure) {
        for path in resolved.configuration.statsDMappings {
            if let shipped = ShippedMappings.all[path] {
                resolved.configuration.statsDMappingTexts.append(shipped)
                continue
            }
            switch readFile(path) {
            case .text(let text): resolved.configuration.statsDMappingTexts.append(text)
            case .failure(let reason):
                throw StartFailure(.configuration, "--statsd-mapping: \(path): \(reason)")
            }
        }
        resolved.warnings += try resolved.configuration.mappingRules().notes
    }

    /// The key is the file without its last line feed. It is in no flag and no variable, where others could read it.
    private func loadDatagramKey(_ configuration: inout Configuration) throws(StartFailure) {
        let path = configuration.crestUDPKeyFile
        guard !path.isEmpty else { return }
        switch readFile(path) {
        case .text(let text):
            let key = Array(text.hasSuffix("\n") ? text.utf8.dropLast() : text.utf8[...])
            guard (16...4_096).contains(key.count) else {
                throw StartFailure(
                    .configuration, "--crest-udp-key-file: \(path): a key must have 16 to 4096 bytes, not \(key.count)")
            }
            configuration.crestUDPKey = key
        case .failure(let reason):
            throw StartFailure(.configuration, "--crest-udp-key-file: \(path): \(reason)")
        }
    }

    private func value(
        of setting: Setting, in file: (path: String, content: ConfigurationFile)?
    ) -> ([String], ResolvedConfiguration.Origin) {
        if let texts = flags[setting.name] { return (texts, .flag) }
        if let text = environment[setting.variable] {
            return (setting.isRepeatable ? text.split(separator: ",").map(String.init) : [text], .environment)
        }
        if let file, let entry = file.content.entries[setting.name] {
            return (entry.texts, .file(path: file.path, line: entry.line))
        }
        return (setting.defaults, .standard)
    }

    /// Variables that look like ours and are none: a slip would otherwise go unnoticed.
    private var strayVariables: [String] {
        let others = ["CREST_CONFIG", "CREST_SERVER", "CREST_TOKEN"]
        let known = Setting.all.map(\.variable) + others
        return environment.keys.filter { $0.hasPrefix("CREST_") && !known.contains($0) }.sorted().map { name in
            let nearest = Suggestion.nearest(to: name, among: known)
            return "unknown variable \(name) in the environment is ignored"
                + (nearest.map { "; did you mean \($0)?" } ?? "")
        }
    }

    /// Other machines are let in over HTTP and gRPC with TLS and tokens; otherwise only when that is said in so many words.
    private func checkReach(_ resolved: ResolvedConfiguration) throws(StartFailure) {
        guard !resolved.configuration.allowsInsecureBind else { return }
        for name in ListenerName.allCases {
            let isGuarded = name == .otlpGRPC || CrestDaemon.httpRoles.contains { $0.key == name }
            if isGuarded && resolved.configuration.access.isComplete { continue }
            for address in resolved.configuration.addresses(name) where address.isRemote {
                let way = isGuarded ? "give --tls-cert, --tls-key and --tokens-file, " : ""
                throw StartFailure(
                    .configuration,
                    "--\(name.rawValue) \(address): anybody who reaches this address could write and read without "
                        + "TLS or a token; bind a loopback address, \(way)or accept that with --insecure-bind")
            }
        }
    }
}

/// A configuration and where each of its values came from.
package struct ResolvedConfiguration: Sendable {
    package enum Origin: Hashable, Sendable {
        case flag
        case environment
        case file(path: String, line: Int)
        case standard

        func label(_ setting: Setting) -> String {
            switch self {
            case .flag, .standard: "--\(setting.name)"
            case .environment: setting.variable
            case .file(let path, let line): "\(path):\(line): \(setting.name)"
            }
        }

        var comment: String {
            switch self {
            case .flag: "flag"
            case .environment: "environment"
            case .file(let path, let line): "\(path):\(line)"
            case .standard: "default"
            }
        }
    }

    package var configuration: Configuration
    package var origins: [String: Origin]
    package var warnings: [String]

    /// The configuration as a file that gives it, each line with its source.
    package var yaml: String {
        let lines = Setting.all.map { setting in
            let texts = setting.texts(configuration).map(quoted)
            let value = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
            return "\(setting.name): \(value)  # \(origins[setting.name]?.comment ?? "default")\n"
        }
        return Redaction.redacted(lines.joined())
    }

    /// Quoted where YAML would read something else than the text: brackets, `: `, `#`, a percent sign in front.
    private func quoted(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "._-/:%".utf8.contains(byte)
        }
        let risky =
            text.isEmpty || text.hasPrefix("-") || text.hasPrefix(":") || text.hasPrefix("%") || text.hasSuffix(":")
        return isPlain && !risky ? text : "'" + text.map { $0 == "'" ? "''" : String($0) }.joined() + "'"
    }
}
