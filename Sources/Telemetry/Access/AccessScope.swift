/// What a token lets its bearer do. No scope includes another.
package enum AccessScope: String, CaseIterable, Sendable {
    /// Send spans, points and lines.
    case ingest
    /// Read traces, and ask about metrics and the daemon's state.
    case query
    /// `GET /metrics`.
    case scrape
    /// Delete, pin, make snapshots, reload.
    case admin
}

/// Who asks: the tenant whose data is meant, and what may be done with it.
package struct Principal: Hashable, Sendable {
    /// The name of the token, for logs; no secret.
    package var name: String
    package var tenant: String
    package var scopes: Set<AccessScope>

    package init(name: String, tenant: String, scopes: Set<AccessScope>) {
        self.name = name
        self.tenant = tenant
        self.scopes = scopes
    }
}
