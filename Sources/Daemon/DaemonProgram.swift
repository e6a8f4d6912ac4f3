internal import HostIO
internal import Logging
internal import Telemetry

/// `crestd` from its arguments to its exit status.
package struct DaemonProgram: Sendable {
    /// What the command line asks for.
    package enum Task: Sendable {
        case run
        /// Says whether the configuration is good.
        case checkConfiguration
        /// Writes the configuration, as a file that gives it, to stdout.
        case printConfiguration
    }

    private var sources: ConfigurationSources
    private var task: Task

    /// - Parameter flags: texts by setting name, as given on the command line.
    package init(flags: [String: [String]], configPath: String?, task: Task) {
        self.task = task
        sources = ConfigurationSources(
            flags: flags, environment: HostProcess.environment, configPath: configPath,
            readFile: { path in
                switch HostProcess.readFile(path, limit: 1 << 20) {
                case .success(let bytes): .text(String(decoding: bytes, as: UTF8.self))
                case .failure(let failure): .failure("\(failure)")
                }
            })
    }

    /// Tells on stderr what is wrong with a command line.
    package static func refuse(_ message: String) -> ExitCode {
        HostProcess.write(Redaction.redacted(message) + "\n", to: 2)
        return .usage
    }

    /// Does the task and returns when it is done; for `run` after a signal to stop.
    package func run() -> ExitCode {
        do throws(StartFailure) {
            let resolved = try sources.resolve()
            switch task {
            case .checkConfiguration:
                for warning in resolved.warnings { HostProcess.write("crestd: \(warning)\n", to: 2) }
                HostProcess.write("the configuration is good\n", to: 1)
                return .success
            case .printConfiguration:
                HostProcess.write(resolved.yaml, to: 1)
                return .success
            case .run: return try serve(resolved)
            }
        } catch {
            HostProcess.write("crestd: \(error)\n", to: 2)
            return error.code
        }
    }

    private func serve(_ resolved: ResolvedConfiguration) throws(StartFailure) -> ExitCode {
        // Whoever knows the seed of the hash tables can choose labels that all fall into one place.
        guard sources.environment["SWIFT_DETERMINISTIC_HASHING"] == nil else {
            throw StartFailure(
                .configuration,
                "SWIFT_DETERMINISTIC_HASHING is set in the environment; with it strangers could slow every table down")
        }
        HostSignals.block()
        HostProcess.makeFilesPrivate()
        HostProcess.raiseDescriptorLimit()
        let configuration = resolved.configuration
        if configuration.memory.isTight { HostProcess.returnFreedMemory() }
        let threshold = LogThreshold(configuration.logLevel)
        let log = Logger(label: "crestd") { _ in
            StandardErrorLog(format: configuration.logFormat, threshold: threshold)
        }
        for warning in resolved.warnings { log.warning("\(warning)") }
        if HostProcess.isRoot { log.warning("running as root; a user of its own is enough for crestd") }
        let daemon = try CrestDaemon(configuration, log: log)
        let reload = Reload(
            sources: sources, running: configuration, threshold: threshold, counts: daemon.reloads,
            log: log, apply: { [weak daemon] in daemon?.apply($0) })
        daemon.onReload { reload() }
        warnOfListenersNotBuilt(resolved, log)
        let line = configuration.logFormat == .json ? daemon.readyLine.json : daemon.readyLine.text
        HostProcess.write(line + "\n", to: 1)
        notify("READY=1")
        return attend(daemon, reload, log)
    }

    private func attend(_ daemon: CrestDaemon, _ reload: Reload, _ log: Logger) -> ExitCode {
        while true {
            switch HostSignals.wait(milliseconds: 1_000) {
            case nil: daemon.everySecond()
            case .reload: _ = reload()
            case .stop:
                log.info("stopping")
                notify("STOPPING=1")
                let isClean = daemon.stop(within: .seconds(6))
                log.info("stopped")
                return isClean ? .success : .runtime
            }
        }
    }

    /// A listener that was asked for and does not exist yet should not look as if it worked.
    private func warnOfListenersNotBuilt(_ resolved: ResolvedConfiguration, _ log: Logger) {
        for name in ListenerName.allCases where resolved.origins[name.rawValue] != .standard {
            let isAsked = resolved.configuration.addresses(name).contains { address in
                switch address {
                case .off: false
                case .internet, .unixDatagram, .stream: !name.isBuilt
                }
            }
            if isAsked { log.warning("this version has no such listener; it stays off: --\(name.rawValue)") }
        }
    }

    /// Tells the service supervisor, when there is one.
    private func notify(_ state: String) {
        guard let path = sources.environment["NOTIFY_SOCKET"] else { return }
        HostProcess.sendDatagram(state, toUnixSocket: path)
    }
}
