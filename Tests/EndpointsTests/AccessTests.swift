import Endpoints
import Telemetry
import Testing

@Suite("Access")
struct AccessTests {
    private static let scopes = AccessScope.allCases

    /// A token `crst_<tenant>-<scope>` for each scope, in two tenants, and one with all scopes in each.
    private static func policy() throws -> AccessPolicy {
        var lines: [String] = []
        for tenant in ["default", "other"] {
            for (name, list) in Self.scopes.map({ ($0.rawValue, $0.rawValue) }) + [("all", "ingest,query,scrape,admin")]
            {
                let digest = AccessToken.digest(of: "crst_\(tenant)-\(name)").hex
                lines.append("name=\(tenant)-\(name) scopes=\(list) tenant=\(tenant) sha256=\(digest)")
            }
        }
        return AccessPolicy(try TokenFile(lines.joined(separator: "\n")))
    }

    private static func daemon() throws -> TestDaemon {
        let policy = try policy()
        return TestDaemon { $0.access = AccessControl(policy: policy) }
    }

    private static func request(_ method: String, _ target: String, token: String?, _ more: [(String, String)] = [])
        -> Request
    {
        let credentials = token.map { [("authorization", "Bearer crst_\($0)")] } ?? []
        return Request(method: method, target: target, headers: credentials + more)
    }

    /// Every route with the scope it needs and whether tenants share it; no scope: open.
    private static let routes: [(method: String, path: String, scope: AccessScope?, isShared: Bool)] = {
        let ingest = [
            "/v1/traces", "/v1/logs", "/v1development/profiles", "/api/traces", "/api/v2/spans", "/api/v1/spans",
            "/zipkin/api/v2/spans",
            "/zipkin/api/v1/spans",
        ]
        let jaeger = ["services", "services/a/operations", "operations", "traces", "traces/1", "dependencies"]
        let zipkin = [
            "services", "spans", "remoteServices", "traces", "trace/1", "traceMany", "dependencies",
            "autocompleteKeys", "autocompleteValues",
        ]
        let own = "/api/crest/v1/"
        var table: [(String, String, AccessScope?, Bool)] = []
        table += ingest.map { ("POST", $0, .ingest, false) }
        table += ["/v1/metrics", "/api/v1/write", "/api/v1/statsd"].map { ("POST", $0, .ingest, false) }
        table += jaeger.map { ("GET", "/api/\($0)", .query, false) }
        table += zipkin.flatMap {
            [("GET", "/api/v2/\($0)", .query, false), ("GET", "/zipkin/api/v2/\($0)", .query, false)]
        }
        table += ["traces/1", "pins", "search", "services", "operations", "durable"]
            .map { ("GET", own + $0, .query, false) }
        table += ["ledger", "status", "admission"].map { ("GET", own + $0, .query, true) }
        table += [
            "series", "series/range", "rejects", "explain", "metrics/cardinality", "metrics/conflicts", "metrics/top",
        ].map { ("GET", own + $0, .query, false) }
        table += [("POST", own + "explain", .query, false), ("GET", own + "snapshots", .admin, true)]
        table += [("POST", own + "snapshots", .admin, true), ("DELETE", own + "traces/1", .admin, false)]
        table += [("DELETE", own + "traces", .admin, false), ("POST", own + "traces/1/pin", .admin, false)]
        table += [("DELETE", own + "traces/1/pin", .admin, false), ("POST", "/-/reload", .admin, true)]
        table += ["query", "query_range", "labels", "series", "label/a/values", "metadata", "status/buildinfo"]
            .map { ("GET", "/prometheus/api/v1/\($0)", .query, false) }
        table += ["query", "query_range", "labels", "series"]
            .map { ("POST", "/prometheus/api/v1/\($0)", .query, false) }
        table += [("GET", "/metrics", .scrape, false), ("GET", "/", .query, false)]
        table += ["/-/ready", "/-/healthy", "/health", "/zipkin/health"].map { ("GET", $0, nil, false) }
        let collector = "/opentelemetry.proto.collector."
        table += [("POST", collector + "trace.v1.TraceService/Export", .ingest, false)]
        table += [("POST", collector + "metrics.v1.MetricsService/Export", .ingest, false)]
        table += [("POST", collector + "logs.v1.LogsService/Export", .ingest, false)]
        table += [("POST", "/grpc.health.v1.Health/Check", nil, false)]
        return table
    }()

    @Test("Every route against every identity: only the scope opens it, shared ones only for the default tenant")
    func matrix() throws {
        let daemon = try Self.daemon()
        for route in Self.routes {
            let isCall = route.path.hasPrefix("/opentelemetry.") || route.path.hasPrefix("/grpc.")
            let listener: ListenerRole = isCall ? .otlpGRPC : .http
            for tenant in ["default", "other"] {
                for name in Self.scopes.map(\.rawValue) + ["all"] {
                    let request = Self.request(route.method, route.path, token: "\(tenant)-\(name)")
                    let fits = route.scope == nil || name == "all" || name == route.scope?.rawValue
                    let isOpen = fits && !(route.isShared && tenant == "other")
                    let status = daemon.send(request, listener).status
                    #expect((status != 401 && status != 403) == isOpen, "\(route) \(tenant) \(name): \(status)")
                    let early = daemon.early(request, listener)?.status
                    #expect((early == 403) == !isOpen, "\(route) \(tenant) \(name): \(early ?? 0)")
                }
            }
            for request in [
                Self.request(route.method, route.path, token: nil),
                Self.request(route.method, route.path, token: "default-nobody"),
            ] {
                let status = daemon.send(request, listener).status
                #expect((status == 401) == (route.scope != nil), "\(route): \(status)")
            }
        }
    }

    @Test("The table above has every route")
    func complete() throws {
        #expect(RouteList.all.count == Self.routes.count)
        #expect(RouteList.withoutAccess == [])
    }

    @Test("Unknown paths and methods tell nobody without a token anything")
    func unknownPath() throws {
        let daemon = try Self.daemon()
        #expect(daemon.send(Self.request("GET", "/nothing", token: nil)).status == 401)
        #expect(daemon.send(Self.request("PUT", "/v1/traces", token: nil)).status == 401)
        #expect(daemon.send(Self.request("GET", "/nothing", token: "default-ingest")).status == 404)
        #expect(daemon.send(Self.request("PUT", "/v1/traces", token: "default-ingest")).status == 405)
        #expect(daemon.rejected(.unauthenticated) == 2)
    }

    @Test("The answers name scheme, error and scope, each dialect in its own form")
    func answers() throws {
        let daemon = try Self.daemon()
        let missing = daemon.send(Self.request("GET", "/api/crest/v1/services", token: nil))
        #expect(missing.header("www-authenticate") == "Bearer realm=\"crest\"")
        #expect(String(decoding: missing.body, as: UTF8.self).hasPrefix("{\"error\":{\"status\":401,"))
        let unknown = daemon.send(
            Self.request("POST", "/v1/traces", token: "x", [("content-type", "application/json")]))
        #expect(unknown.header("www-authenticate")?.hasSuffix("error=\"invalid_token\"") == true)
        #expect(String(decoding: unknown.body, as: UTF8.self).contains("\"code\":16"))
        let narrow = daemon.send(Self.request("GET", "/metrics", token: "default-query"))
        #expect(narrow.status == 403)
        #expect(narrow.header("www-authenticate")?.hasSuffix("scope=\"scrape\"") == true)
        #expect(daemon.rejected(.forbidden) == 1)
    }

    @Test("Credentials of other forms are refused")
    func forms() throws {
        let daemon = try Self.daemon()
        for (value, status) in [
            ("bearer crst_default-query", 200), ("Bearer  crst_default-query", 200), ("Basic crst_default-query", 401),
            ("crst_default-query", 401), ("Bearer", 401), ("", 401), ("Bearer crst_default-query x", 401),
            ("Bearer crst_default-quer", 401), ("Bearer " + String(repeating: "x", count: 10_000), 401),
        ] {
            let request = Request(method: "GET", target: "/api/services", headers: [("authorization", value)])
            #expect(daemon.send(request).status == status, "\(value.prefix(40))")
        }
        let twice = Self.request("GET", "/api/services", token: "default-query", [("authorization", "Bearer y")])
        #expect(daemon.send(twice).status == 401)
        #expect(
            daemon.send(Request(method: "GET", target: "/api/services?access_token=crst_default-query")).status == 401)
    }

    @Test("A header may name the token's tenant and no other")
    func tenantHeader() throws {
        let daemon = try Self.daemon()
        for header in ["x-scope-orgid", "crest-tenant"] {
            #expect(
                daemon.send(Self.request("GET", "/api/services", token: "other-query", [(header, "other")])).status
                    == 200)
            #expect(
                daemon.send(Self.request("GET", "/api/services", token: "other-query", [(header, "default")])).status
                    == 403)
        }
    }

    @Test("New tokens count from the next request on")
    func replaced() throws {
        let control = AccessControl(policy: try Self.policy())
        let daemon = TestDaemon { $0.access = control }
        let digest = AccessToken.digest(of: "crst_new").hex
        control.replace(AccessPolicy(try TokenFile("name=new scopes=query sha256=\(digest)")))
        #expect(daemon.send(Self.request("GET", "/api/services", token: "default-query")).status == 401)
        #expect(daemon.send(Self.request("GET", "/api/services", token: "new")).status == 200)
    }

    @Test("Hosts of a foreign page are refused, our own and addresses are not")
    func hosts() {
        let hosts: [ListenerRole: HostAllowlist] = [.http: HostAllowlist(["crest.example.org"])]
        let daemon = TestDaemon { $0.access = AccessControl(hosts: hosts) }
        for host in [
            "localhost", "localhost:8400", "LOCALHOST:1", "a.localhost", "127.0.0.1", "127.0.0.1:8400", "10.1.2.3:8400",
            "[::1]", "[::1]:8400", "[::ffff:127.0.0.1]:1", "crest.example.org", "Crest.Example.Org:8400",
            "crest.example.org.",
        ] {
            #expect(
                daemon.send(Request(method: "GET", target: "/", headers: [("host", host)])).status == 200, "\(host)")
        }
        for host in [
            "evil.example", "evil.example:8400", "127.0.0.1.evil.example", "localhost.evil.example", "", ":8400",
            "evillocalhost", "127.0.0.1:8400@evil.example", "[evil]:1", "[::1].evil.example", "256.1.1.1", "1.2.3",
            "[::1",
        ] {
            let request = Request(method: "GET", target: "/-/healthy", headers: [("host", host)])
            #expect(daemon.send(request).status == 421, "\(host)")
            #expect(daemon.early(request, .http)?.status == 421)
            #expect(daemon.send(request, .otlpHTTP).status == 404)
        }
        let two = Request(method: "GET", target: "/", headers: [("host", "localhost"), ("host", "evil.example")])
        #expect(daemon.send(two).status == 421)
        #expect(daemon.send(Request(method: "GET", target: "/")).status == 200)
    }

    @Test("What a page of another site sends blindly is refused; its own pages and programs are not")
    func foreignOrigin() {
        let daemon = TestDaemon()
        func status(_ method: String, _ target: String, _ origin: String?) -> Int {
            var request = Request(method: method, target: target, headers: [("host", "localhost:8400")])
            if let origin { request.headers.append(("origin", origin)) }
            return daemon.send(request).status
        }
        let foreign = [
            "https://evil.example", "null", "", "http://localhost:8400.evil.example", "localhost:8400",
            "http://localhost:9", "http://localhost",
        ]
        for (method, target) in [("POST", "/-/reload"), ("DELETE", "/api/crest/v1/traces/1"), ("POST", "/v1/traces")] {
            for origin in foreign { #expect(status(method, target, origin) == 403, "\(method) \(origin)") }
            for origin in [nil, "http://localhost:8400", "https://LOCALHOST:8400"] {
                #expect(status(method, target, origin) != 403, "\(method) \(origin ?? "")")
            }
        }
        #expect(daemon.rejected(.forbidden) == 21)
        for origin in foreign { #expect(status("GET", "/-/ready", origin) == 200) }
    }
}
