internal import Telemetry

/// Turns the names that clients send into names that Prometheus takes, at ingest, so that what is scraped, queried and
/// alerted on is one and the same.
///
///     order.count|c          -> order_count_total            order.process.time|ms -> order_process_time_seconds
///     stock.remaining|g      -> stock_remaining              visitors|s            -> visitors_unique
///
/// Source: schemas/wire/statsd.md, "Names".
enum MetricNaming {
    /// The family name: without `_total` for counters, whose samples add it; complete for all other kinds.
    /// - Parameter isExact: the name is the operator's: no unit and no suffix is added.
    static func familyName(of name: [UInt8], kind: MetricKind, isExact: Bool = false) -> String {
        var family = sanitised(name, allowsColon: true)
        if isExact, kind != .counter { return isReserved(family) ? "exported_" + family : family }
        switch kind {
        case .counter:
            if family.hasSuffix("_total"), family.utf8.count > 6 { family.removeLast(6) }
        case .timer:
            for tail in ["_time_ms", "_milliseconds", "_millis", "_ms"]
            where family.hasSuffix(tail) && family.utf8.count > tail.utf8.count {
                family.removeLast(tail.utf8.count)
                break
            }
            if !family.hasSuffix("_seconds") { family += "_seconds" }
        case .set:
            if !family.hasSuffix("_unique") { family += "_unique" }
        case .gauge, .histogram, .distribution: break
        }
        return isReserved(family) ? "exported_" + family : family
    }

    /// Names that Crest itself exposes beside the application's.
    static func isReserved(_ family: String) -> Bool {
        family.hasPrefix("crest_")
            || [
                "process_cpu_seconds", "process_resident_memory_bytes", "process_start_time_seconds",
                "process_open_fds",
            ].contains(family)
    }

    /// A label name. What Prometheus or a histogram needs for itself is moved out of the way.
    /// - Parameters:
    ///   - isOwn: a rule has set the label, so it may be what Prometheus calls its own.
    ///   - isHistogram: then `le` and `quantile` are taken in any case.
    static func labelName(of key: [UInt8], isOwn: Bool = false, isHistogram: Bool = false) -> String {
        let label = sanitised(key, allowsColon: false)
        switch label {
        case "job" where isOwn, "instance" where isOwn: return label
        case "le" where isOwn && !isHistogram, "quantile" where isOwn && !isHistogram: return label
        case "le", "quantile", "job", "instance", "__name__", overflowLabel: return "exported_" + label
        default: return label.hasPrefix("__") ? "tag" + label : label
        }
    }

    static let overflowLabel = "crest_overflow"

    /// Every run of characters outside `[a-zA-Z0-9_:]` becomes one `_`; a leading digit gets a `_` before it.
    private static func sanitised(_ bytes: [UInt8], allowsColon: Bool) -> String {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + 1)
        var wasReplaced = false
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
                result.append(byte)
                wasReplaced = false
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                if result.isEmpty { result.append(UInt8(ascii: "_")) }
                result.append(byte)
                wasReplaced = false
            case UInt8(ascii: ":") where allowsColon:
                result.append(byte)
                wasReplaced = false
            default:
                if !wasReplaced { result.append(UInt8(ascii: "_")) }
                wasReplaced = true
            }
        }
        return result.isEmpty ? "_" : String(decoding: result, as: UTF8.self)
    }

    /// The labels as they stand between the braces of a sample line: sanitised, sorted, unique, escaped.
    /// - Returns: the text, and how many labels repeated a name (the first one wins).
    static func labelText(
        _ labels: [MetricLabel], own: Set<[UInt8]> = [], isHistogram: Bool = false
    ) -> (text: [UInt8], duplicates: Int) {
        var named = labels.map {
            (
                name: labelName(of: $0.key, isOwn: own.contains($0.key), isHistogram: isHistogram), value: $0.value
            )
        }
        if named.count > 1 {
            let order = named.indices.sorted { (named[$0].name, $0) < (named[$1].name, $1) }
            named = order.map { named[$0] }
        }
        var text: [UInt8] = []
        var duplicates = 0
        var last: String?
        for label in named {
            guard label.name != last else {
                duplicates += 1
                continue
            }
            last = label.name
            if !text.isEmpty { text.append(UInt8(ascii: ",")) }
            text.append(contentsOf: label.name.utf8)
            text.append(contentsOf: "=\"".utf8)
            appendEscaped(label.value, to: &text)
            text.append(UInt8(ascii: "\""))
        }
        return (text, duplicates)
    }

    static func appendEscaped(_ value: [UInt8], to text: inout [UInt8]) {
        for byte in value {
            switch byte {
            case UInt8(ascii: "\\"): text.append(contentsOf: "\\\\".utf8)
            case UInt8(ascii: "\""): text.append(contentsOf: "\\\"".utf8)
            case UInt8(ascii: "\n"): text.append(contentsOf: "\\n".utf8)
            default: text.append(byte)
            }
        }
    }

    /// Takes label text apart again.
    static func labels(of text: UnsafeRawBufferPointer) -> [(name: String, value: String)] {
        var labels: [(name: String, value: String)] = []
        var offset = 0
        while let equals = text[offset...].firstIndex(of: UInt8(ascii: "=")) {
            let name = String(decoding: text[offset..<equals], as: UTF8.self)
            var value: [UInt8] = []
            offset = equals + 2
            while offset < text.count, text[offset] != UInt8(ascii: "\"") {
                if text[offset] == UInt8(ascii: "\\"), offset + 1 < text.count {
                    offset += 1
                    value.append(text[offset] == UInt8(ascii: "n") ? UInt8(ascii: "\n") : text[offset])
                } else {
                    value.append(text[offset])
                }
                offset += 1
            }
            labels.append((name, String(decoding: value, as: UTF8.self)))
            offset += 2
            guard offset < text.count else { break }
        }
        return labels
    }
}
