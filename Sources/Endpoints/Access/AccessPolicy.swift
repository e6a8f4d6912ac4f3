package import Telemetry

/// Which tokens there are and what each lets its bearer do. A value; a reload makes a new one.
package struct AccessPolicy: Sendable {
    private let entries: [TokenFile.Entry]

    package init(_ file: TokenFile) { entries = file.entries }

    /// Whose token this is; nil for a token that is not known.
    ///
    /// Looks at every digest, whole, whichever fits: the time taken tells nothing of the digests.
    package func principal(token: some StringProtocol) -> Principal? {
        guard token.utf8.count <= AccessToken.longestBytes else { return nil }
        let candidate = AccessToken.digest(of: token)
        var found = -1
        for (index, entry) in entries.enumerated() {
            let difference = entry.digest.difference(candidate)
            // All ones when nothing differs, else zero.
            let mask = 0 &- Int(truncatingIfNeeded: ((difference | (0 &- difference)) >> 63) ^ 1)
            found = (found & ~mask) | (index & mask)
        }
        return found >= 0 ? entries[found].principal : nil
    }
}
