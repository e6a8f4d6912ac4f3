import Daemon
import Testing

@Suite("What a reload takes")
struct ReloadTests {
    private func configuration(_ flags: [String: [String]]) throws -> Configuration {
        try ConfigurationSources(flags: flags).resolve().configuration
    }

    @Test("Every reloadable setting is one, is taken, and leaves nothing to be named")
    func taken() throws {
        let others = [
            "log-level": "error", "retention-age": "1h", "retention-bytes": "5GiB", "slow-threshold": "2s",
            "recorder-age": "2h", "recorder-bytes": "2GiB", "retention-errors-age": "2h", "retention-slow-age": "3h",
            "retention-errors-bytes": "1GiB", "retention-slow-bytes": "2GiB", "retention-ordinary-age": "4h",
            "retention-ordinary-bytes": "3GiB", "retention-pinned-bytes": "1MiB", "series-limit": "5",
            "series-limit-family": "4", "series-limit-source": "3", "expire-counters": "3s", "expire-gauges": "4s",
            "expire-histograms": "5s", "expire-sets": "6s", "statsd-profile": "plain", "statsd-gauge-sign": "delta",
            "statsd-mapping": "spring-http",
        ]
        #expect(Set(others.keys) == Setting.reloadable)
        for (name, text) in others {
            var running = try configuration([:])
            let next = try configuration([name: [text]])
            #expect(next != running, "\(name)")
            #expect(running.takeReloadable(from: next) == [], "\(name)")
            #expect(running == next, "\(name)")
        }
    }

    @Test("Everything else is named, in the order of print, and left as it is")
    func named() throws {
        let before = try configuration([:])
        var running = before
        let next = try configuration([
            "memory-limit": ["64MiB"], "http": ["127.0.0.1:1"], "durability": ["memory"], "log-level": ["debug"],
            "source-labels": ["team"], "recorder-age": ["off"],
        ])
        #expect(
            running.takeReloadable(from: next) == [
                "http", "durability", "memory-limit", "recorder-age", "source-labels",
            ])
        #expect(running.logLevel == .debug)
        running.logLevel = before.logLevel
        #expect(running == before)
    }
}
