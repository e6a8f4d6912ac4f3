/// One value of an attribute: the kinds that OTLP and `SpanAttributes` share.
public enum AttributeValue: Sendable, Hashable {
    case string(String)
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case stringArray([String])
    case boolArray([Bool])
    case intArray([Int64])
    case doubleArray([Double])
}

extension AttributeValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    /// Makes `.string`, so that a literal can be given as it is.
    public init(stringLiteral value: String) { self = .string(value) }
}

extension AttributeValue: ExpressibleByIntegerLiteral {
    /// Makes `.int`.
    public init(integerLiteral value: Int64) { self = .int(value) }
}

extension AttributeValue: ExpressibleByBooleanLiteral {
    /// Makes `.bool`.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension AttributeValue: ExpressibleByFloatLiteral {
    /// Makes `.double`.
    public init(floatLiteral value: Double) { self = .double(value) }
}

/// A named value on a span, an event, a link or a resource.
public struct Attribute: Sendable, Hashable {
    public var key: String
    public var value: AttributeValue

    /// `Attribute("http.route", "/v1/orders")`, `Attribute("http.status_code", 201)`.
    public init(_ key: String, _ value: AttributeValue) {
        self.key = key
        self.value = value
    }
}
