internal import Telemetry

/// Names of OTLP metrics and attributes as Prometheus' translation strategy `UnderscoreEscapingWithSuffixes`
/// makes them.
///
///     http.server.request.duration, s   -> http_server_request_duration_seconds
///     orders, {order}, monotonic sum    -> orders_total              (`_total` is added on the sample line)
///     disk.utilization, 1, gauge        -> disk_utilization_ratio
///     io, By/s                          -> io_bytes_per_second
///
/// Source: schemas/wire/otlp.md, "Metric names".
enum PointNaming {
    /// The family name, without `_total` for counters.
    static func familyName(of metric: MetricPoints.Metric) -> String {
        var tokens = words(metric.name)
        let isCounter = metric.shape == .sum && metric.isMonotonic
        for unit in unitWords(metric.unit) where !tokens.contains(unit) {
            if unit.hasPrefix("per_"), let last = tokens.last, "per_" + last == unit { continue }
            tokens.append(unit)
        }
        if isCounter { tokens.removeAll { $0 == "total" } }
        if metric.shape == .gauge, metric.unit == "1" {
            tokens.removeAll { $0 == "ratio" }
            tokens.append("ratio")
        }
        var name = tokens.joined(separator: "_")
        if name.isEmpty { name = "_" }
        if let first = name.utf8.first, (0x30...0x39).contains(first) { name = "_" + name }
        return MetricNaming.isReserved(name) ? "exported_" + name : name
    }

    /// The runs of letters, digits and colons.
    private static func words(_ name: [UInt8]) -> [String] {
        name.split { !isWordByte($0) && $0 != 0x3a }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
    }

    private static func unitWords(_ unit: String) -> [String] {
        let parts = unit.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(trimmed)
        var result: [String] = []
        if let main = parts.first, !main.contains("{"), !main.isEmpty {
            result += words(Array((units[main] ?? main).utf8))
        }
        if parts.count > 1, !parts[1].contains("{"), !parts[1].isEmpty {
            let per = words(Array((perUnits[parts[1]] ?? parts[1]).utf8)).joined(separator: "_")
            if !per.isEmpty { result.append("per_" + per) }
        }
        return result
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static let units = [
        "d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds",
        "ns": "nanoseconds", "By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes",
        "TiBy": "tibibytes", "KBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
        "m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius",
        "Hz": "hertz", "1": "", "%": "percent",
    ]

    private static let perUnits = [
        "s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year",
    ]

    /// An attribute's key as a label name: every run of other characters becomes one `_`.
    static func labelName(of key: [UInt8]) -> String {
        var name: [UInt8] = []
        for byte in key {
            let next = isWordByte(byte) ? byte : 0x5f
            if next != 0x5f || name.last != 0x5f { name.append(next) }
        }
        if name.isEmpty { return "_" }
        let text = String(decoding: name, as: UTF8.self)
        if (0x30...0x39).contains(name[0]) { return "key_" + text }
        return text == "le" || text == MetricNaming.overflowLabel ? "exported_" + text : text
    }

    /// `otel_scope_name`, `otel_scope_version` and `otel_scope_` before the scope's other attributes: points of two
    /// scopes are never one series.
    static func scopeLabels(_ scope: MetricPoints.Scope) -> [(name: String, value: String)] {
        var labels = [(name: "otel_scope_name", value: scope.name), (name: "otel_scope_version", value: scope.version)]
        for attribute in scope.attributes.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            let name = "otel_scope_" + labelName(of: attribute.key).drop { $0 == "_" }
            let value = String(decoding: attribute.value, as: UTF8.self)
            if let known = labels.firstIndex(where: { $0.name == name }) {
                // The scope's own name and version are not to be replaced.
                if known > 1 { labels[known].value += ";" + value }
            } else {
                labels.append((name, value))
            }
        }
        return labels
    }

    /// Labels as they stand between the braces of a sample line: sorted; values of attributes whose keys come to one
    /// name are joined by `;` in the order of their keys, and an attribute never takes the place of an `own` label.
    static func labelText(_ attributes: [MetricLabel], own: [(name: String, value: String)]) -> [UInt8] {
        var labels: [String: [UInt8]] = [:]
        for attribute in attributes.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
            if attribute.value.isEmpty { continue }
            var name = labelName(of: attribute.key)
            if own.contains(where: { $0.name == name }) { name = "exported_" + name }
            if let known = labels[name] {
                labels[name] = known + [UInt8(ascii: ";")] + attribute.value
            } else {
                labels[name] = attribute.value
            }
        }
        for label in own where !label.value.isEmpty { labels[label.name] = Array(label.value.utf8) }
        var text: [UInt8] = []
        for (name, value) in labels.sorted(by: { $0.key < $1.key }) {
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: name.utf8)
            text.append(contentsOf: "=\"".utf8)
            MetricNaming.appendEscaped(value, to: &text)
            text.append(UInt8(ascii: "\""))
        }
        return text
    }
}
