internal import Synchronization
internal import Telemetry

/// Decides whether a request may be answered: by the name it was sent to, by its token, and by the token's tenant.
///
/// Without tokens everybody is the default tenant and may do everything. The tokens may be replaced at any time.
package final class AccessControl: Sendable {
    private let policy: Mutex<AccessPolicy?>
    private let hosts: [ListenerRole: HostAllowlist]

    /// - Parameter hosts: by listener; a listener without one answers to every name.
    package init(policy: AccessPolicy? = nil, hosts: [ListenerRole: HostAllowlist] = [:]) {
        self.policy = Mutex(policy)
        self.hosts = hosts
    }

    package var needsTokens: Bool { policy.withLock { $0 != nil } }

    /// Requests that came before are answered by the old tokens.
    package func replace(_ policy: AccessPolicy) { self.policy.withLock { $0 = policy } }

    /// The tenant to work for.
    /// - Parameter access: what the route asks; nil for an unknown path, which needs any token.
    func tenant(of request: Request, by access: RouteAccess?, at listener: ListenerRole) throws(AccessRefusal) -> String
    {
        if let allowlist = hosts[listener] {
            for (name, value) in request.headers where name == "host" && !allowlist.permits(value) {
                throw .misdirected
            }
        }
        guard Self.isOwnPage(request) else { throw .foreignOrigin }
        guard access != .open, let policy = policy.withLock({ $0 }) else { return BatchOrigin.defaultTenant }
        let principal = try Self.principal(of: request, policy)
        for (name, value) in request.headers where Self.tenantHeaders.contains(name) && value != principal.tenant {
            throw .otherTenant
        }
        switch access {
        case nil, .open: break
        case .tenant(let scope):
            guard principal.scopes.contains(scope) else { throw .scope(scope) }
        case .shared(let scope):
            guard principal.scopes.contains(scope) else { throw .scope(scope) }
            guard principal.tenant == BatchOrigin.defaultTenant else { throw .shared }
        }
        return principal.tenant
    }

    /// False for what a page of another site makes a browser send, which needs no permission of ours for plain forms.
    /// Reading is not the page's to see (no CORS), so only what changes something is looked at.
    private static func isOwnPage(_ request: Request) -> Bool {
        guard request.method != "GET", request.method != "HEAD", let origin = request.header("origin") else {
            return true
        }
        guard let host = request.header("host"), let scheme = origin.firstRange(of: "://") else { return false }
        return origin[scheme.upperBound...].lowercased() == host.lowercased()
    }

    /// Headers that name a tenant elsewhere. Here the token does; they may only agree with it.
    private static let tenantHeaders: Set<String> = ["x-scope-orgid", "crest-tenant"]

    private static func principal(of request: Request, _ policy: AccessPolicy) throws(AccessRefusal) -> Principal {
        let values = request.headers.filter { $0.name == "authorization" }.map(\.value)
        guard let value = values.first else { throw .noToken }
        let words = value.split(separator: " ")
        guard values.count == 1, words.count == 2, words[0].lowercased() == "bearer",
            let principal = policy.principal(token: words[1])
        else { throw .unknownToken }
        return principal
    }
}

/// Why a request is not answered.
enum AccessRefusal: Error, Hashable, Sendable {
    case noToken
    case unknownToken
    /// The token lacks the scope.
    case scope(AccessScope)
    /// A header names another tenant than the token.
    case otherTenant
    /// What was asked for belongs to all tenants.
    case shared
    /// A page of another site wants to change something.
    case foreignOrigin
    /// The `Host` header has a name that is not ours.
    case misdirected

    var status: Int {
        switch self {
        case .noToken, .unknownToken: 401
        case .scope, .otherTenant, .shared, .foreignOrigin: 403
        case .misdirected: 421
        }
    }

    var reason: RequestRejection {
        switch self {
        case .noToken, .unknownToken: .unauthenticated
        case .scope, .otherTenant, .shared, .foreignOrigin: .forbidden
        case .misdirected: .host
        }
    }

    /// Quotes nothing of the request.
    var message: String {
        switch self {
        case .noToken: "a token is needed: Authorization: Bearer crst_..."
        case .unknownToken: "the token is not known here"
        case .scope(let scope): "the token lacks the scope '\(scope.rawValue)'"
        case .otherTenant: "the token belongs to another tenant than the header names"
        case .shared: "this is shared by all tenants and open to tokens of the default tenant only"
        case .foreignOrigin:
            "the Origin header names another site than the Host header; pages may change their own only"
        case .misdirected: "the Host header names no host of this daemon; see --allow-host"
        }
    }

    /// RFC 6750, section 3; nil when other credentials would not help.
    var challenge: String? {
        switch self {
        case .noToken: "Bearer realm=\"crest\""
        case .unknownToken: "Bearer realm=\"crest\", error=\"invalid_token\""
        case .scope(let scope): "Bearer realm=\"crest\", error=\"insufficient_scope\", scope=\"\(scope.rawValue)\""
        case .otherTenant, .shared, .foreignOrigin, .misdirected: nil
        }
    }
}

extension Dialect {
    func denied(_ refusal: AccessRefusal, for request: Request, ledger: Ledger) -> Response {
        ledger.requestsRejected.add(1, refusal.reason)
        var response = failure(refusal.status, refusal.message, for: request)
        if let challenge = refusal.challenge { response.headers.append(("www-authenticate", challenge)) }
        return response
    }
}
