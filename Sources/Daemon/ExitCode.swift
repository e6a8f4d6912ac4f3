internal import Telemetry

/// What `crestd` says with its exit status.
package enum ExitCode: Int32, Sendable {
    case success = 0
    case runtime = 1
    case usage = 2
    case dataDirectoryInUse = 73
    case inputOutput = 74
    case permission = 77
    /// A bad configuration, or an unknown format on disk.
    case configuration = 78
}

/// Why the daemon does not start or stopped early: what to print, and the status to exit with.
package struct StartFailure: Error, Hashable, Sendable, CustomStringConvertible {
    package let code: ExitCode
    package let description: String

    package init(_ code: ExitCode, _ description: String) {
        self.code = code
        self.description = Redaction.redacted(description)
    }
}
