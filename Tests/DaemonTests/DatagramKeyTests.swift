import Daemon
import Testing

@Suite("The key of Crest datagrams")
struct DatagramKeyTests {
    private func key(_ content: String?) throws(StartFailure) -> [UInt8]? {
        let sources = ConfigurationSources(flags: content == nil ? [:] : ["crest-udp-key-file": ["/run/key"]]) { _ in
            .text(content ?? "")
        }
        return try sources.resolve().configuration.crestUDPKey
    }

    @Test("Is a file without its last line feed; no file, no key")
    func read() throws {
        #expect(try key(nil) == nil)
        #expect(try key("0123456789abcdef\n") == Array("0123456789abcdef".utf8))
        #expect(try key("0123456789abcde\n\n") == Array("0123456789abcde\n".utf8))
    }

    @Test("Too short a key is refused without showing it", arguments: ["", "\n", "0123456789abcde\n"])
    func short(content: String) {
        do throws(StartFailure) {
            _ = try key(content)
            Issue.record("taken")
        } catch {
            #expect("\(error)".contains("/run/key: a key must have 16 to 4096 bytes"))
            #expect(!"\(error)".contains("0123"))
        }
    }
}
