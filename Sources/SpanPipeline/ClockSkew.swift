package import Telemetry

/// How far one host's clock is ahead of another's, as the spans of one trace tell.
package struct ClockOffset: Hashable, Sendable {
    /// The called service, and its host as far as its spans name it.
    package var service: String
    package var host: String
    package var parentService: String
    package var parentHost: String
    /// Nanoseconds, negative when it is behind: the median over ``spanCount`` calls.
    package var ahead: Int64
    /// Calls that do not fit under their parents.
    package var spanCount: Int
}

/// Spans that begin before their parent or end after it though another host made them: its clock is off.
///
/// Times are never changed, only said: what would have to be added to a span's times so that it fits under its
/// parent. A span on another host is put into the middle of its parent (the way there and the way back take equally
/// long), one that lasts longer than its parent, or that takes a message, just not before it. Spans on the same host
/// as their parent share its offset. Source: schemas/query/clock-skew.md.
package struct ClockSkew: Sendable {
    /// Nanoseconds to add to the times of each span; zero where nothing is wrong.
    package private(set) var corrections: [Int64]
    private var pairs: [Pair: [Int64]] = [:]

    private struct Pair: Hashable {
        var service: String
        var host: String
        var parentService: String
        var parentHost: String
    }

    /// - Parameter tree: of these spans.
    package init(_ spans: [SpanRecord], tree: TraceTree) {
        corrections = Array(repeating: 0, count: spans.count)
        let hosts = spans.map { host(of: $0) }
        for index in tree.preorder {
            guard let above = tree.parents[index] else { continue }
            let (parent, child) = (spans[above], spans[index])
            let inherited = corrections[above]
            // Without a start of its own the span says nothing about its clock.
            guard !child.marks.contains(.noStart), !parent.marks.contains(.noStart),
                !isSameClock(parent, hosts[above], child, hosts[index])
            else {
                corrections[index] = inherited
                continue
            }
            let correction = correction(of: child, under: parent, movedBy: inherited)
            corrections[index] = correction
            guard correction != inherited, correction != 0 else { continue }
            let pair = Pair(
                service: child.serviceName, host: hosts[index], parentService: parent.serviceName,
                parentHost: hosts[above])
            pairs[pair, default: []].append(clamped(Int128(inherited) - Int128(correction)))
        }
    }

    /// Sorted by service and host.
    package var offsets: [ClockOffset] {
        let offsets = pairs.map { pair, values in
            ClockOffset(
                service: pair.service, host: pair.host, parentService: pair.parentService,
                parentHost: pair.parentHost, ahead: values.sorted()[values.count / 2], spanCount: values.count)
        }
        return offsets.sorted {
            ($0.service, $0.host, $0.parentService, $0.parentHost)
                < ($1.service, $1.host, $1.parentService, $1.parentHost)
        }
    }
}

/// The same host when both name one, else the same process.
private func isSameClock(_ parent: SpanRecord, _ above: String, _ child: SpanRecord, _ own: String) -> Bool {
    above.isEmpty || own.isEmpty ? parent.resource == child.resource : above == own
}

private func correction(of child: SpanRecord, under parent: SpanRecord, movedBy inherited: Int64) -> Int64 {
    let isAsynchronous = child.kind == SpanKind.consumer.rawValue || parent.kind == SpanKind.producer.rawValue
    let mayEndLater =
        isAsynchronous || child.duration > parent.duration || parent.marks.contains(.noDuration)
    /// How long before its parent, which is moved by so much, the child begins.
    func early(_ moved: Int64) -> Int128 { Int128(parent.start) + Int128(moved) - Int128(child.start) }
    func fits(_ moved: Int64) -> Bool {
        let early = early(moved)
        return early <= 0 && (mayEndLater || Int128(child.duration) - early <= Int128(parent.duration))
    }
    if fits(inherited) { return 0 }
    if fits(0) { return inherited }
    if mayEndLater { return clamped(max(0, early(inherited))) }
    return clamped(early(inherited) + Int128(parent.duration - child.duration) / 2)
}

private func clamped(_ value: Int128) -> Int64 { Int64(clamping: value) }

/// As OpenTelemetry, Jaeger's clients and Zipkin's name it; empty when the span does not say.
private func host(of span: SpanRecord) -> String {
    for key in ["host.id", "host.ip", "host.name", "ip", "hostname"] {
        for attribute in span.resource.attributes where attribute.key == key {
            if let text = text(attribute.value) { return text }
        }
    }
    for attribute in span.attributes where attribute.key == "network.local.address" {
        if let text = text(attribute.value) { return text }
    }
    return ""
}

/// A text, or the first one of a list.
private func text(_ value: AttributeValue) -> String? {
    switch value {
    case .string(let text) where !text.isEmpty: text
    case .array(let values):
        values.first.flatMap { if case .string(let text) = $0, !text.isEmpty { text } else { nil } }
    default: nil
    }
}
