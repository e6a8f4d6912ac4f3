import Listeners
import Testing

@Suite struct BindAddressTests {
    @Test(
        "Addresses of the right form are read and printed back",
        arguments: [
            ("127.0.0.1:8400", "127.0.0.1", 8_400), ("[::1]:8400", "::1", 8_400), ("localhost:0", "localhost", 0),
            ("0.0.0.0:65535", "0.0.0.0", 65_535), ("[fe80::1%eth0]:1", "fe80::1%eth0", 1),
        ])
    func accepted(text: String, host: String, port: UInt16) throws {
        let address = try #require(BindAddress(text))
        #expect(address == BindAddress(host: host, port: port))
        #expect(address.description == text)
    }

    @Test(
        "Everything else is refused",
        arguments: [
            "", ":", ":80", "host", "host:", "host:x", "host:-1", "host:65536", "host:000080", "::1:8400", "[::1]",
            "[]:1", "[host]:1", "[::1:80", "a b:1", "http://host:80", "host:+1", "host:8 0", "hóst:1", "host:٣",
        ])
    func refused(text: String) {
        #expect(BindAddress(text) == nil)
    }
}
