internal import Endpoints
internal import Telemetry

/// What a tenant, and an address without a token, may send a second.
package struct AdmissionRates: Hashable, Sendable {
    package var tenantBytes = RateTexts()
    package var tenantSpans = RateTexts()
    package var sourceBytes = RateTexts()
    package var sourceSpans = RateTexts()

    package init() {}

    var settings: AdmissionControl.Settings {
        var settings = AdmissionControl.Settings()
        settings.tenantRates = Self.limits(tenantBytes.general, tenantSpans.general)
        settings.sourceRates = Self.limits(sourceBytes.general, sourceSpans.general)
        for name in Set(tenantBytes.special.keys).union(tenantSpans.special.keys) {
            let bytes = tenantBytes.special[name] ?? tenantBytes.general
            let spans = tenantSpans.special[name] ?? tenantSpans.general
            settings.ratesByTenant[name] = Self.limits(bytes, spans)
        }
        return settings
    }

    private static func limits(_ bytes: UInt64?, _ spans: UInt64?) -> RateLimits {
        RateLimits(bytesPerSecond: bytes.map { Double($0) }, spansPerSecond: spans.map { Double($0) })
    }
}

/// A number a second, for all and for single tenants.
package struct RateTexts: Hashable, Sendable {
    /// Nil: any.
    package var general: UInt64?
    package var special: [String: UInt64?] = [:]

    init() {}

    /// Reads `10MB` and `shop=50MB`; `none` for no limit. Nil when one of them is neither.
    init?(_ texts: [String], allowsNames: Bool, number: (String) -> UInt64?) {
        for text in texts {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            let value: UInt64?
            switch parts.last {
            case "none": value = nil
            case let text?:
                guard let rate = number(text), rate > 0 else { return nil }
                value = rate
            case nil: return nil
            }
            if parts.count == 1 {
                general = value
            } else {
                guard allowsNames, TokenFile.isTenant(parts[0]) else { return nil }
                special[parts[0]] = .some(value)
            }
        }
    }

    func texts(_ text: (UInt64) -> String) -> [String] {
        [general.map(text) ?? "none"]
            + special.sorted { $0.key < $1.key }.map { name, rate in "\(name)=\(rate.map(text) ?? "none")" }
    }
}

extension Setting {
    static let admission: [Setting] = [
        bytes("tenant-bytes-per-second", \.rates.tenantBytes, ofTenants: true),
        spans("tenant-spans-per-second", \.rates.tenantSpans, ofTenants: true),
        bytes("source-bytes-per-second", \.rates.sourceBytes, ofTenants: false),
        spans("source-spans-per-second", \.rates.sourceSpans, ofTenants: false),
    ]

    private static func bytes(
        _ name: String, _ path: any WritableKeyPath<Configuration, RateTexts> & Sendable, ofTenants: Bool
    ) -> Setting {
        rate(name, "a size such as 10MB", path, ofTenants) {
            SettingText.bytes($0)
        } text: {
            SettingText.text(bytes: $0)
        }
    }

    private static func spans(
        _ name: String, _ path: any WritableKeyPath<Configuration, RateTexts> & Sendable, ofTenants: Bool
    ) -> Setting {
        rate(name, "a number such as 50000", path, ofTenants) {
            UInt64($0)
        } text: {
            "\($0)"
        }
    }

    private static func rate(
        _ name: String, _ what: String, _ path: any WritableKeyPath<Configuration, RateTexts> & Sendable,
        _ ofTenants: Bool, _ number: @escaping @Sendable (String) -> UInt64?,
        text: @escaping @Sendable (UInt64) -> String
    ) -> Setting {
        Setting(
            name: name, defaults: ["none"], isRepeatable: ofTenants,
            form: "must be \(what), or none" + (ofTenants ? "; TENANT=RATE for a single tenant" : ""),
            apply: { configuration, texts in
                guard let rates = RateTexts(texts, allowsNames: ofTenants, number: number) else { return false }
                configuration[keyPath: path] = rates
                return true
            }, texts: { $0[keyPath: path].texts(text) })
    }
}
