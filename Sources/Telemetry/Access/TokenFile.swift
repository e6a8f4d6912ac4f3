/// The tokens that a daemon knows: a line each, with the digest in place of the token. Source: schemas/tokens.md.
///
///     name=checkout scopes=ingest,query tenant=default sha256=3b1c...
package struct TokenFile: Sendable {
    package struct Entry: Sendable {
        package var principal: Principal
        package var digest: TokenDigest

        package init(principal: Principal, digest: TokenDigest) {
            self.principal = principal
            self.digest = digest
        }

        /// The line of the file, without its end.
        package var line: String {
            let scopes = AccessScope.allCases.filter { principal.scopes.contains($0) }.map(\.rawValue)
            return "name=\(principal.name) scopes=\(scopes.joined(separator: ",")) tenant=\(principal.tenant)"
                + " sha256=\(digest.hex)"
        }
    }

    /// What is wrong, and where. Never quotes the file: a token may stand in it by mistake.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package let line: Int
        package let reason: String
        package var description: String { line == 0 ? reason : "line \(line): \(reason)" }
    }

    package let entries: [Entry]

    package init(_ text: String) throws(Fault) {
        var entries: [Entry] = []
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let fields = line.split { $0 == " " || $0 == "\t" || $0 == "\r" }
            guard let first = fields.first, !first.hasPrefix("#") else { continue }
            let entry: Entry
            do throws(Refusal) { entry = try Self.entry(fields) } catch {
                throw Fault(line: index + 1, reason: error.reason)
            }
            guard entries.count < Limits.accessTokens else {
                throw Fault(line: index + 1, reason: "more than \(Limits.accessTokens) tokens")
            }
            if entries.contains(where: { $0.principal.name == entry.principal.name }) {
                throw Fault(line: index + 1, reason: "the name stands on an earlier line too")
            }
            if entries.contains(where: { $0.digest.difference(entry.digest) == 0 }) {
                throw Fault(line: index + 1, reason: "the digest stands on an earlier line too")
            }
            entries.append(entry)
        }
        guard !entries.isEmpty else { throw Fault(line: 0, reason: "holds no token, so nobody could do anything") }
        self.entries = entries
    }

    private struct Refusal: Error {
        var reason: String
        init(_ reason: String) { self.reason = reason }
    }

    private static func entry(_ fields: [Substring]) throws(Refusal) -> Entry {
        var values: [String: Substring] = [:]
        for field in fields {
            if field.contains(AccessToken.prefix) {
                throw Refusal("a token itself stands here; keep its digest instead (crest token hash)")
            }
            let parts = field.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let key = String(parts[0])
            guard parts.count == 2, ["name", "scopes", "tenant", "sha256"].contains(key) else {
                throw Refusal("a field must be name=, scopes=, tenant= or sha256=")
            }
            guard values.updateValue(parts[1], forKey: key) == nil else { throw Refusal("\(key) stands twice") }
        }
        guard let name = values["name"], isName(name) else {
            throw Refusal("name must be 1 to 64 letters, digits, '.', '_' or '-'")
        }
        let tenant = values["tenant"] ?? Substring(BatchOrigin.defaultTenant)
        guard isTenant(tenant) else { throw Refusal("tenant must be 1 to 64 of a-z, 0-9, '_' or '-'") }
        guard let scopes = Self.scopes(values["scopes"] ?? "") else {
            throw Refusal("scopes must be some of ingest, query, scrape, admin, with commas between them")
        }
        guard let digest = TokenDigest(hex: values["sha256"] ?? "") else {
            throw Refusal("sha256 must be 64 hexadecimal digits in lower case")
        }
        return Entry(
            principal: Principal(name: String(name), tenant: String(tenant), scopes: scopes), digest: digest)
    }

    /// A list as `ingest,query`; nil when a word is unknown, stands twice, or there is none.
    package static func scopes(_ text: some StringProtocol) -> Set<AccessScope>? {
        let words = text.split(separator: ",", omittingEmptySubsequences: false)
        let scopes = Set(words.compactMap { AccessScope(rawValue: String($0)) })
        return scopes.count == words.count && !scopes.isEmpty ? scopes : nil
    }

    package static func isName(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                isLowerOrDigit(byte) || (65...90).contains(byte) || "._-".utf8.contains(byte)
            }
    }

    package static func isTenant(_ text: some StringProtocol) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { isLowerOrDigit($0) || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-") }
    }

    private static func isLowerOrDigit(_ byte: UInt8) -> Bool { (97...122).contains(byte) || (48...57).contains(byte) }
}
