import Daemon
import Logging
import Synchronization
import Testing

@Suite struct StandardErrorLogTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private func logger(_ format: Configuration.LogFormat, _ threshold: LogThreshold, _ lines: Lines) -> Logger {
        Logger(label: "test") { _ in
            StandardErrorLog(format: format, threshold: threshold) { line in lines.all.withLock { $0.append(line) } }
        }
    }

    @Test("One event is one line, whatever its text holds", arguments: Configuration.LogFormat.allCases)
    func oneLine(format: Configuration.LogFormat) {
        let lines = Lines()
        logger(format, LogThreshold(.info), lines).warning("a\nb\u{1B}[31m\r\"\\", metadata: ["k": "v\nw"])
        let line = lines.all.withLock { $0.joined() }
        #expect(line.hasSuffix("\n"))
        #expect(line.utf8.filter { $0 < 0x20 }.count == 1)
        if format == .json { #expect(line.contains(#""message":"a\nb\u001b[31m\u000d\"\\","k":"v\nw"}"#)) }
        if format == .text { #expect(line.contains(" warning crestd: a b [31m \"\\ k=v w\n")) }
    }

    @Test("Only what is at or above the threshold is written, and that can change")
    func threshold() {
        let lines = Lines()
        let threshold = LogThreshold(.warning)
        let log = logger(.text, threshold, lines)
        log.info("no")
        log.error("yes")
        threshold.set(.debug)
        log.debug("also")
        #expect(lines.all.withLock { $0.count } == 2)
    }
}
