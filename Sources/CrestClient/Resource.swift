/// Who reports: the attributes that all spans of one process share.
///
/// ```swift
/// let resource = Resource(
///     serviceName: "checkout", serviceVersion: "3.1.0",
///     attributes: [Attribute("deployment.environment", "prod")])
/// ```
public struct Resource: Sendable, Hashable {
    /// In the order given; `service.name` comes first.
    public var attributes: [Attribute]

    /// - Parameter attributes: added after `service.name`, `service.version` and `telemetry.sdk.*`; an attribute
    ///   of the same key replaces the one this initializer would set.
    public init(serviceName: String, serviceVersion: String? = nil, attributes: [Attribute] = []) {
        var defaults = [Attribute("service.name", .string(serviceName))]
        if let serviceVersion { defaults.append(Attribute("service.version", .string(serviceVersion))) }
        defaults.append(Attribute("telemetry.sdk.name", "crest"))
        defaults.append(Attribute("telemetry.sdk.language", "swift"))
        defaults.append(Attribute("telemetry.sdk.version", .string(crestClientVersion)))
        let given = Set(attributes.map(\.key))
        self.attributes = defaults.filter { !given.contains($0.key) } + attributes
    }
}

/// Which library made the spans.
public struct InstrumentationScope: Sendable, Hashable {
    public var name: String
    public var version: String

    public init(name: String, version: String = "") {
        self.name = name
        self.version = version
    }

    /// Spans made through ``CrestTracer``.
    public static let crestClient = InstrumentationScope(name: "CrestClient", version: crestClientVersion)
}

/// Reported as `telemetry.sdk.version` and in the `User-Agent`.
public let crestClientVersion = "0.1.0"
