import Daemon
import Glibc
import Logging
import Testing

/// A daemon in this process, on free ports and a directory of its own.
@Suite struct DaemonStartTests {
    private func configuration(_ directory: String, _ flags: [String: [String]] = [:]) throws -> Configuration {
        var all = ["data-dir": [directory]]
        for name in ListenerName.allCases { all[name.rawValue] = [name.isBuilt ? "127.0.0.1:0" : "off"] }
        all.merge(flags) { $1 }
        return try ConfigurationSources(flags: all).resolve().configuration
    }

    private func temporaryDirectory() throws -> String {
        var template = Array("/tmp/crest-daemon-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw StartFailure(.inputOutput, "mkdtemp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/data"
    }

    private let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func failure(_ configuration: Configuration) -> StartFailure? {
        do throws(StartFailure) { _ = try CrestDaemon(configuration, log: silent).stop(within: .seconds(1)) } catch {
            return error
        }
        return nil
    }

    @Test("A start names every listener, and a stop lets go of the directory and the ports")
    func startStop() throws {
        let directory = try temporaryDirectory()
        for _ in 0..<2 {
            let start = ContinuousClock.now
            let daemon = try CrestDaemon(configuration(directory), log: silent)
            #expect(ContinuousClock.now - start < .seconds(2))
            let listeners = daemon.readyLine.listeners
            #expect(listeners.map(\.name) == ListenerName.allCases.map(\.rawValue))
            for (name, listener) in zip(ListenerName.allCases, listeners) {
                #expect(listener.addresses.count == (name.isBuilt ? 1 : 0), "\(name)")
                #expect(!listener.addresses.contains("127.0.0.1:0"))
            }
            daemon.everySecond()
            #expect(daemon.stop(within: .seconds(5)))
        }
    }

    @Test("A second daemon on the directory is refused with 73, and the first goes on")
    func directoryInUse() throws {
        let configuration = try configuration(try temporaryDirectory())
        let daemon = try CrestDaemon(configuration, log: silent)
        #expect(failure(configuration)?.code == .dataDirectoryInUse)
        #expect(daemon.stop(within: .seconds(5)))
    }

    @Test("A taken port names the port and the flag", arguments: ["http", "zipkin", "statsd"])
    func portTaken(flag: String) throws {
        let daemon = try CrestDaemon(configuration(try temporaryDirectory()), log: silent)
        let address = try #require(daemon.readyLine.listeners.first { $0.name == flag }?.addresses.first)
        let refused = failure(try configuration(try temporaryDirectory(), [flag: [address]]))
        #expect(refused == StartFailure(.runtime, "--\(flag): \(address) is already in use"))
        #expect(daemon.stop(within: .seconds(5)))
    }

    @Test("StatsD listens on several addresses of three forms, each in the ready line")
    func statsDForms() throws {
        let directory = try temporaryDirectory()
        let path = directory + ".sock"
        let flags = [
            "statsd": ["127.0.0.1:0", "unixgram:\(path)", "tcp:127.0.0.1:0", "off"], "statsd-workers": ["2"],
        ]
        let daemon = try CrestDaemon(configuration(directory, flags), log: silent)
        let addresses = try #require(daemon.readyLine.listeners.first { $0.name == "statsd" }?.addresses)
        #expect(addresses.count == 3)
        #expect(addresses[0].hasPrefix("127.0.0.1:") && !addresses[0].hasSuffix(":0"))
        #expect(addresses[1] == "unixgram:\(path)")
        #expect(addresses[2].hasPrefix("tcp:127.0.0.1:") && !addresses[2].hasSuffix(":0"))
        let second = try configuration(try temporaryDirectory(), ["statsd": ["unixgram:\(path)"]])
        let reason = "cannot bind unixgram:\(path): another process listens there"
        #expect(failure(second) == StartFailure(.runtime, "--statsd: \(reason)"))
        #expect(daemon.stop(within: .seconds(5)))
        #expect(access(path, F_OK) == -1)
    }

    @Test("A directory that cannot be made is an I/O error")
    func noDirectory() throws {
        #expect(failure(try configuration("/proc/none/data"))?.code == .inputOutput)
        #expect(failure(try configuration("/dev/null/data"))?.code == .inputOutput)
    }
}
