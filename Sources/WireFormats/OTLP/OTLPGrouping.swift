internal import Telemetry

/// Spans by resource or by scope, groups in the order of their first member; how OTLP nests them.
func grouped<Key: Hashable>(
    _ spans: [SpanRecord], by key: KeyPath<SpanRecord, Key>
) -> [(Key, [SpanRecord])] {
    var groups: [(Key, [SpanRecord])] = []
    var indices: [Key: Int] = [:]
    for span in spans {
        let value = span[keyPath: key]
        if let index = indices[value] {
            groups[index].1.append(span)
        } else {
            indices[value] = groups.count
            groups.append((value, [span]))
        }
    }
    return groups
}
