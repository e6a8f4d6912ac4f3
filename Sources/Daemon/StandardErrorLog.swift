internal import HostIO
package import Logging
internal import Synchronization
internal import Telemetry

/// Writes log events to stderr, one line each, as text or JSON.
///
///     2026-11-25T19:00:00.123Z info crestd: recovered spans=12
///     {"time":"...","level":"info","message":"recovered","spans":"12"}
package struct StandardErrorLog: LogHandler {
    package var metadata: Logger.Metadata = [:]
    /// The handler's own level; the one of ``LogThreshold`` counts as well.
    package var logLevel: Logger.Level = .trace
    private let format: Configuration.LogFormat
    private let threshold: LogThreshold
    private let write: @Sendable (String) -> Void

    package init(
        format: Configuration.LogFormat, threshold: LogThreshold,
        write: @escaping @Sendable (String) -> Void = { HostProcess.write($0, to: 2) }
    ) {
        self.format = format
        self.threshold = threshold
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        guard event.level >= threshold.level else { return }
        let facts = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
        let time = timestamp(SystemClock.now())
        var line: String
        switch format {
        case .text:
            line = "\(time) \(event.level.rawValue) crestd: \(singleLine(event.message.description))"
            for (key, value) in facts { line += " \(key)=\(singleLine(value.description))" }
        case .json:
            line = "{\"time\":\"\(time)\",\"level\":\"\(event.level.rawValue)\",\"message\":"
            line += jsonString(event.message.description)
            for (key, value) in facts { line += ",\(jsonString(key)):\(jsonString(value.description))" }
            line += "}"
        }
        write(Redaction.redacted(line) + "\n")
    }

    /// Control characters, line ends among them, become spaces: one event is one line.
    private func singleLine(_ text: String) -> String {
        let isClean = text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        if isClean { return text }
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
    }
}

/// The level below which nothing is logged; may change while the daemon runs.
package final class LogThreshold: Sendable {
    private let current: Mutex<Logger.Level>

    package init(_ level: Configuration.LogLevel) { current = Mutex(level.loggerLevel) }

    var level: Logger.Level { current.withLock { $0 } }

    package func set(_ level: Configuration.LogLevel) { current.withLock { $0 = level.loggerLevel } }
}

extension Configuration.LogLevel {
    fileprivate var loggerLevel: Logger.Level {
        switch self {
        case .debug: .debug
        case .info: .info
        case .warning: .warning
        case .error: .error
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
/// - Parameter nanoseconds: Unix time.
func timestamp(_ nanoseconds: UInt64) -> String {
    let seconds = Int(nanoseconds / 1_000_000_000)
    // Days since 0000-03-01, so that the leap day ends a year.
    let days = seconds / 86_400 + 719_468
    let era = days / 146_097
    let dayOfEra = days % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let time = seconds % 86_400
    let milliseconds = Int(nanoseconds / 1_000_000 % 1_000)
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T\(padded(time / 3_600, 2)):"
        + "\(padded(time / 60 % 60, 2)):\(padded(time % 60, 2)).\(padded(milliseconds, 3))Z"
}

private func padded(_ value: Int, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
}
