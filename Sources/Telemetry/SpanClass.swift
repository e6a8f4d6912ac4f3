/// How important a trace is when not all can be taken, by what is known of it. The raw value is the `class` label of
/// `crest_spans_shed_total`.
package enum SpanClass: String, CaseIterable, Sendable {
    /// A span failed, or the trace entered a service slower than 99 of 100 others do. Never shed.
    case important = "p1"
    case ordinary = "p2"
    /// Nothing failed, and wherever the trace entered a service it was faster than half of the others.
    case fast = "p3"
}
