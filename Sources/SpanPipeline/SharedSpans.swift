package import Telemetry

/// Zipkin's clients give both sides of a call one span id, and may send a span in parts. Readers that know neither
/// get a view in which every span has an id of its own; Zipkin's readers get the parts put together.
/// What is stored does not change. Source: schemas/query/shared-spans.md.
extension [SpanRecord] {
    /// Gives the server half of a call that shares its id with the client half an id of its own, always the same one;
    /// its parent is the client half then, and what it called hangs under its new id.
    /// - Parameter tree: of these spans.
    package func withSharedSpansApart(_ tree: TraceTree) -> [SpanRecord] {
        guard tree.hasRepeatedIDs else { return self }
        var taken = Set(map(\.spanID))
        var spans = self
        for index in indices {
            guard let above = tree.parents[index], self[above].spanID == self[index].spanID else { continue }
            var id = SpanID(mixed(self[index].spanID.value))
            while id.isZero || !taken.insert(id).inserted { id = SpanID(id.value &+ 1) }
            spans[index].parentID = self[above].spanID
            spans[index].spanID = id
        }
        for index in indices {
            guard let above = tree.parents[index], self[above].spanID != self[index].spanID else { continue }
            spans[index].parentID = spans[above].spanID
        }
        return spans
    }

    /// Puts together what was sent in parts (one id, the same half of the call, endpoints that do not contradict each
    /// other), and says of a server half where it forgot to: that its id is shared, and the parent.
    /// - Parameter tree: of these spans.
    package func withPartsMerged(_ tree: TraceTree) -> [SpanRecord] {
        guard tree.hasRepeatedIDs else { return self }
        var indicesByID: [SpanID: [Int]] = [:]
        for (index, span) in enumerated() { indicesByID[span.spanID, default: []].append(index) }
        var spans = self
        var gone: Set<Int> = []
        for indices in indicesByID.values where (2...Limits.partsPerSpan).contains(indices.count) {
            for (place, index) in indices.enumerated() where !gone.contains(index) {
                for other in indices[(place + 1)...] where !gone.contains(other) {
                    guard spans[index].isPart(ofSameAs: spans[other]) else { continue }
                    spans[index].take(spans[other])
                    gone.insert(other)
                }
            }
            let client = indices.first { !gone.contains($0) && spans[$0].kind == SpanKind.client.rawValue }
            guard let client else { continue }
            for index in indices where index != client && spans[index].kind == SpanKind.server.rawValue {
                spans[index].marks.insert(.shared)
                spans[index].parentID = spans[index].parentID ?? spans[client].parentID
            }
        }
        guard !gone.isEmpty else { return spans }
        return spans.indices.filter { !gone.contains($0) }.map { spans[$0] }.sorted {
            if $0.start != $1.start { return $0.start < $1.start }
            if $0.spanID != $1.spanID { return $0.spanID < $1.spanID }
            return !$0.marks.contains(.shared) && $1.marks.contains(.shared)
        }
    }
}

/// A bijection that spreads ids over all 64 bits, so that it hardly ever meets an id of the trace.
private func mixed(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
}

/// Attributes that are fields of a local endpoint in Zipkin's forms.
private let endpointKeys = ["network.local.address", "zipkin.local.ipv6", "network.local.port"]

extension SpanRecord {
    fileprivate func isPart(ofSameAs other: SpanRecord) -> Bool {
        guard marks.contains(.shared) == other.marks.contains(.shared) else { return false }
        // The sides of a call are two spans, even where the server forgot to say that the id is shared.
        guard kind == other.kind || kind == 0 || other.kind == 0 else { return false }
        let (name, otherName) = (serviceName.lowercased(), other.serviceName.lowercased())
        guard name == otherName || name.isEmpty || otherName.isEmpty else { return false }
        return endpointKeys.allSatisfy { key in
            let values = (value(key), other.value(key))
            return values.0 == nil || values.1 == nil || values.0 == values.1
        }
    }

    private func value(_ key: String) -> AttributeValue? { attributes.first { $0.key == key }?.value }

    /// What is missing comes from the other part; of a tag that both have the later start's value counts.
    fileprivate mutating func take(_ other: SpanRecord) {
        parentID = parentID ?? other.parentID
        if kind == 0 { kind = other.kind }
        if name.isEmpty { name = other.name }
        takeTimes(other)
        if resource.serviceName.isEmpty { resource = other.resource }
        for attribute in other.attributes {
            if let place = attributes.firstIndex(where: { $0.key == attribute.key }) {
                if !endpointKeys.contains(attribute.key) { attributes[place].value = attribute.value }
            } else {
                attributes.append(attribute)
            }
        }
        events += other.events.filter { !events.contains($0) }
        events.sort { $0.time < $1.time }
        links += other.links
        if status != SpanStatus.error.rawValue { (status, statusMessage) = (other.status, other.statusMessage) }
        marks.formUnion(other.marks.intersection([.debug, .truncated, .repairedText]))
        droppedAttributes &+= other.droppedAttributes
        droppedEvents &+= other.droppedEvents
        droppedLinks &+= other.droppedLinks
    }

    private mutating func takeTimes(_ other: SpanRecord) {
        var length = duration
        if marks.contains(.noDuration), !other.marks.contains(.noDuration) {
            length = other.duration
            marks.remove(.noDuration)
        }
        if marks.contains(.noStart), !other.marks.contains(.noStart) {
            start = other.start
            marks.remove(.noStart)
        }
        let (sum, overflow) = start.addingReportingOverflow(length)
        end = overflow ? .max : sum
    }
}
