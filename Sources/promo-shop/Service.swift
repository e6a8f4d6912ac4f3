internal import CrestClient

/// The ten services of the shop, each with its pods, language and version.
enum Service: Int, CaseIterable {
    case gateway, seckill, ratelimiter, cache, stock, order, mq, payment, notification, user

    var name: String { String(describing: self) }

    var podCount: Int {
        switch self {
        case .seckill: 6
        case .order: 5
        case .gateway, .cache, .stock: 4
        case .ratelimiter, .mq, .payment: 3
        case .notification, .user: 2
        }
    }

    var language: String {
        switch self {
        case .gateway, .ratelimiter, .cache, .user: "go"
        case .seckill, .stock, .order, .mq, .payment: "java"
        case .notification: "nodejs"
        }
    }

    private var version: String {
        switch self {
        case .gateway: "2.14.3"
        case .seckill: "1.9.0"
        case .ratelimiter: "1.4.1"
        case .cache: "0.8.7"
        case .stock: "3.2.0"
        case .order: "5.11.2"
        case .mq: "2.0.9"
        case .payment: "4.7.1"
        case .notification: "1.3.30"
        case .user: "2.2.2"
        }
    }

    /// What the pod's SDK says about itself.
    func resource(pod: Int) -> Resource {
        var random = Random(seed: UInt64(rawValue), stream: UInt64(pod))
        let instance = String(String(random.next() >> 32 | 1 << 32, radix: 16).suffix(8))
        return Resource(
            serviceName: name, serviceVersion: version,
            attributes: [
                Attribute("service.namespace", "promo"),
                Attribute("service.instance.id", "\(name)-\(instance)"),
                Attribute("deployment.environment", "prod"),
                Attribute("host.name", .string("node-" + padded(random.below(17), to: 2))),
                Attribute("k8s.namespace.name", "promo"),
                Attribute("k8s.pod.name", "\(name)-7d9f8b6c5-\(instance.prefix(5))"),
                Attribute("telemetry.sdk.name", "opentelemetry"),
                Attribute("telemetry.sdk.language", .string(language)),
                Attribute("telemetry.sdk.version", "1.32.0"),
            ])
    }

    /// The instrumentation library the spans come from.
    var scope: InstrumentationScope {
        switch language {
        case "go":
            InstrumentationScope(
                name: "go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", version: "0.57.0")
        case "java": InstrumentationScope(name: "io.opentelemetry.spring-webmvc-6.0", version: "2.10.0-alpha")
        default: InstrumentationScope(name: "@opentelemetry/instrumentation-http", version: "0.55.0")
        }
    }

    /// In-cluster host name.
    var host: String { name + ".promo.svc.cluster.local" }
}

/// One HTTP operation of the shop; `{productId}` and `{userId}` stand for what the request is about.
struct Route: Hashable {
    let method: String
    let template: String
    /// Small and unique, for tables of metrics.
    let number: Int

    var operation: String { method + " " + template }

    static let checkout = Route(method: "POST", template: "/api/v1/seckill/{productId}/checkout", number: 0)
    static let browse = Route(method: "GET", template: "/api/v1/products/{productId}", number: 1)
    static let check = Route(method: "POST", template: "/v1/check", number: 2)
    static let user = Route(method: "GET", template: "/v1/users/{userId}", number: 3)
    static let seckill = Route(method: "POST", template: "/v1/seckill/{productId}", number: 4)
    static let reserve = Route(method: "POST", template: "/v1/stock/{productId}/reserve", number: 5)
    static let orders = Route(method: "POST", template: "/v1/orders", number: 6)
    static let payments = Route(method: "POST", template: "/v1/payments", number: 7)
    static let notify = Route(method: "POST", template: "/v1/notify", number: 8)
    static let product = Route(method: "GET", template: "/v1/product/{productId}", number: 9)
    static let price = Route(method: "GET", template: "/v1/price/{productId}", number: 10)
    static let activity = Route(method: "GET", template: "/v1/activity/{productId}", number: 11)

    func path(_ visit: Visit) -> String {
        guard let open = template.firstIndex(of: "{"), let close = template.firstIndex(of: "}") else {
            return template
        }
        let isProduct = template[open...].hasPrefix("{productId}")
        return template[..<open] + (isProduct ? visit.product : visit.user) + template[template.index(after: close)...]
    }
}

/// Decimal digits with leading zeros.
func padded(_ number: Int, to width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
