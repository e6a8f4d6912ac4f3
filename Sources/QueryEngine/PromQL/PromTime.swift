/// Times of a query: unix milliseconds, bounded so that adding offsets and ranges cannot overflow.
package enum PromTime {
    /// How far an instant selector looks back, as in Prometheus.
    package static let lookbackMilliseconds: Int64 = 300_000

    package static let earliest: Int64 = -(1 << 53)
    package static let latest: Int64 = 1 << 53

    /// Within 285,000 years of the epoch.
    package static func isSane(_ milliseconds: Int64) -> Bool { milliseconds >= earliest && milliseconds <= latest }
}
