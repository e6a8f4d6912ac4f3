import Telemetry
import Testing

@Suite("Tokens")
struct TokenFileTests {
    private static let digest = String(repeating: "0123456789abcdef", count: 4)

    @Test("A token has 32 bytes in base64url and its digest is the SHA-256 of its text")
    func token() {
        let text = AccessToken.text((0..<32).map { UInt8(truncatingIfNeeded: 248 + $0) })
        #expect(text == "crst_-Pn6-_z9_v8AAQIDBAUGBwgJCgsMDQ4PEBESExQVFhc")
        #expect(AccessToken.digest(of: "abc").hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        #expect(AccessToken.digest(of: "abc").difference(AccessToken.digest(of: "abc")) == 0)
        #expect(AccessToken.digest(of: "abc").difference(AccessToken.digest(of: "abd")) != 0)
        #expect(TokenDigest(hex: Self.digest)?.hex == Self.digest)
    }

    @Test("Lines are read as they are written; comments and empty lines do not count")
    func roundTrip() throws {
        let text = """
            # tokens of the shop
            name=checkout scopes=ingest tenant=shop-1 sha256=\(Self.digest)

            \tscopes=admin,query  name=on.call_1\tsha256=\(String(Self.digest.reversed()))\r
            """
        let file = try TokenFile(text)
        #expect(
            file.entries.map(\.principal) == [
                Principal(name: "checkout", tenant: "shop-1", scopes: [.ingest]),
                Principal(name: "on.call_1", tenant: "default", scopes: [.query, .admin]),
            ])
        let again = try TokenFile(file.entries.map(\.line).joined(separator: "\n"))
        #expect(again.entries.map(\.line) == file.entries.map(\.line))
    }

    @Test(
        "Anything else is refused with its line, and nothing of the file is quoted",
        arguments: [
            "name=a scopes=ingest", "name=a scopes=ingest sha256=abc", "name=a scopes= sha256=D",
            "name=a scopes=ingest,ingest sha256=D", "name=a scopes=everything sha256=D", "scopes=ingest sha256=D",
            "name=a/b scopes=ingest sha256=D", "name=a name=b scopes=ingest sha256=D",
            "name=a scopes=ingest sha256=D tenant=Shop", "name=a scopes=ingest sha256=D tenant=",
            "name=a scopes=ingest sha256=D role=x", "name=a scopes=ingest sha256=D word",
            "name=a scopes=ingest crst_secretsecret", "crst_secretsecret", "name=ok scopes=query sha256=D",
            "name=b scopes=query sha256=TAKEN",
        ])
    func refused(line: String) {
        let taken = String(repeating: "cd", count: 32)
        let bad = line.replacing("sha256=D", with: "sha256=\(Self.digest)").replacing("=TAKEN", with: "=\(taken)")
        let text = "name=ok scopes=query sha256=\(taken)\n" + bad
        let fault = #expect(throws: TokenFile.Fault.self) { try TokenFile(text) }
        #expect(fault?.line == 2)
        #expect(fault?.description.contains("secret") == false)
    }

    @Test("A file without a token is refused")
    func empty() {
        #expect(throws: TokenFile.Fault.self) { try TokenFile("# nothing\n") }
    }

    @Test("Tokens and keys go from texts, the rest stays")
    func redaction() {
        #expect(Redaction.redacted("no crst here") == "no crst here")
        #expect(
            Redaction.redacted("--tokens-file: crst_aB-_9: no such file") == "--tokens-file: crst_***: no such file")
        #expect(Redaction.redacted("crst_a crst_b") == "crst_*** crst_***")
        let key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
        #expect(Redaction.redacted("--tls-key: \(key): no such file") == "--tls-key: ***")
    }
}
