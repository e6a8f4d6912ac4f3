import Foundation
import Testing

/// How secrets are compared, by the look of the code: whether it takes the same time cannot be measured on a busy
/// machine, whether it branches on the secret can be read.
@Suite("Comparing secrets")
struct SecretsTests {
    private func source(_ path: String) throws -> String {
        try String(contentsOf: Tree.root.appending(path: path), encoding: .utf8)
    }

    /// The text from `start` to the first line that is `end` and nothing else.
    private func body(_ text: String, from start: String, to end: String) throws -> String {
        let begin = try #require(text.range(of: start))
        let rest = text[begin.lowerBound...]
        let close = try #require(rest.range(of: "\n\(end)\n"))
        return String(rest[..<close.lowerBound])
    }

    @Test("Digests have no ==, here or in an extension")
    func notEquatable() {
        for (path, text) in Tree.files("Sources", suffix: ".swift") {
            for line in text.split(separator: "\n") where line.contains("TokenDigest") {
                let declares = line.contains("struct TokenDigest") || line.contains("extension TokenDigest")
                let words = ["Equatable", "Hashable", "Comparable"]
                #expect(!declares || !words.contains { line.contains($0) }, "\(path): \(line)")
                #expect(!line.contains("Set<TokenDigest>") && !line.contains("[TokenDigest:"), "\(path): \(line)")
            }
        }
    }

    @Test("The loops over digests and tags neither end early nor branch")
    func noBranches() throws {
        let policy = try source("Sources/Endpoints/Access/AccessPolicy.swift")
        let tokens = try body(policy, from: "        for (index, entry) in entries", to: "        }")
        let hash = try source("Sources/Bytes/SHA256.swift")
        let tags = try body(hash, from: "        for index in tag.indices", to: "        return difference == 0")
        let digest = try source("Sources/Telemetry/Access/AccessToken.swift")
        let difference = try body(digest, from: "    package func difference", to: "    }")
        for text in [tokens, tags, difference] {
            let code = text.split(separator: "\n").filter { !$0.contains("//") }.joined(separator: "\n")
            for word in ["if ", "guard", "return found", "break", "continue", "where", "==", "!=", "&&", "||", "?"] {
                #expect(!code.contains(word), "\(word) in:\n\(code)")
            }
        }
        // The candidate is hashed before anything is compared, so that no bytes of a token are.
        #expect(policy.contains("let candidate = AccessToken.digest(of: token)"))
        #expect(
            try body(hash, from: "        for index in tag.indices", to: "        return difference == 0").contains(
                "|="))
    }
}
