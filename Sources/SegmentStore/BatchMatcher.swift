internal import Telemetry

/// Runs a ``SpanFilter`` over the rows of batches: strings are resolved once a batch, rows compare numbers and bytes.
///
/// Agrees with ``SpanFilter/matches(_:)`` for text in the same Unicode form: here text is equal when its bytes are.
struct BatchMatcher {
    private let filter: SpanFilter
    private let service: [UInt8]?
    private let operation: [UInt8]?
    private let tags: [TagMatcher]

    init(_ filter: SpanFilter) {
        self.filter = filter
        service = filter.service.map { Array($0.utf8) }
        operation = filter.operation.map { Array($0.utf8) }
        tags = filter.tags.map(TagMatcher.init)
    }

    /// Calls `body` with each matching row of the batch. The tenant is not looked at.
    func match(_ batch: SpanBatch, _ body: (SpanRow) -> Void) {
        let scopes = batch.scopes.map { scope in
            guard let service else { return true }
            return batch.slice(batch.resources[Int(scope.resource)].serviceName, equals: service)
        }
        guard scopes.contains(true) else { return }
        let resolved = tags.map { ResolvedTag($0, in: batch) }
        guard resolved.allSatisfy(\.isPossible) else { return }
        for span in batch.spans {
            guard scopes[Int(span.scope)],
                filter.matchesNumbers(start: span.start, end: span.end, kind: span.kind, status: span.status)
            else { continue }
            if let operation, !batch.slice(span.name, equals: operation) { continue }
            if resolved.allSatisfy({ $0.matches(span, in: batch) }) { body(span) }
        }
    }
}

/// One tag condition with its value in every form that a row may have it in.
private struct TagMatcher {
    let key: [UInt8]
    let value: String?
    let bytes: [UInt8]
    let int: Int64?
    let bool: Bool?
    let derived: Derived

    enum Derived {
        case none
        case error
        case kind
        case statusCode
        case scopeName
        case event
    }

    init(_ tag: SpanFilter.Tag) {
        key = Array(tag.key.utf8)
        value = tag.value
        bytes = Array((tag.value ?? "").utf8)
        let number = tag.value.flatMap { Int64($0) }
        int = number.flatMap { String($0) == tag.value ? $0 : nil }
        bool = tag.value == "true" ? true : tag.value == "false" ? false : nil
        derived =
            switch tag.key {
            case "error": .error
            case "span.kind": .kind
            case "otel.status_code": .statusCode
            case "otel.scope.name": .scopeName
            case "event": .event
            default: .none
            }
    }

    func matches(_ row: AttributeRow, in batch: SpanBatch) -> Bool {
        guard let value else { return true }
        switch row.type {
        case .string: return batch.slice(row.slice, equals: bytes)
        case .int: return int == Int64(bitPattern: row.payload)
        case .bool: return bool == (row.payload != 0)
        case .empty: return bytes.isEmpty
        case .double, .bytes, .array, .map, nil: return AttributeText.text(batch.value(row)) == value
        }
    }
}

/// A tag condition against one batch: which keys it means there and which scopes satisfy it by their resource.
private struct ResolvedTag {
    private let tag: TagMatcher
    /// Indices of ``SpanBatch/keys`` equal to the tag's key; one, or none.
    private let keys: [Int]
    private let scopes: [Bool]

    init(_ tag: TagMatcher, in batch: SpanBatch) {
        self.tag = tag
        let keys = batch.keys.indices.filter { batch.slice(batch.keys[$0], equals: tag.key) }
        self.keys = keys
        let resources = batch.resources.map { resource in
            batch.attributes[resource.attributes].contains { keys.contains($0.key) && tag.matches($0, in: batch) }
        }
        scopes = batch.scopes.map { scope in
            if resources[Int(scope.resource)] { return true }
            guard tag.derived == .scopeName, scope.name.count > 0 else { return false }
            return tag.value == nil || batch.slice(scope.name, equals: tag.bytes)
        }
    }

    /// False when no span of the batch can match.
    var isPossible: Bool {
        switch tag.derived {
        case .none, .scopeName: !keys.isEmpty || scopes.contains(true)
        case .error, .kind, .statusCode, .event: true
        }
    }

    func matches(_ span: SpanRow, in batch: SpanBatch) -> Bool {
        if scopes[Int(span.scope)] || matchesDerived(span, in: batch) { return true }
        guard !keys.isEmpty else { return false }
        if matches(span.attributes, in: batch) { return true }
        return batch.events[span.events].contains { matches($0.attributes, in: batch) }
    }

    private func matches(_ range: Range<Int>, in batch: SpanBatch) -> Bool {
        for index in range {
            let row = batch.attributes[index]
            if keys.contains(row.key), tag.matches(row, in: batch) { return true }
        }
        return false
    }

    private func matchesDerived(_ span: SpanRow, in batch: SpanBatch) -> Bool {
        switch tag.derived {
        case .none, .scopeName: return false
        case .error: return span.status == SpanStatus.error.rawValue && (tag.value == nil || tag.bool == true)
        case .kind, .statusCode:
            let key = tag.derived == .kind ? "span.kind" : "otel.status_code"
            let text = DerivedTag.value(of: key, kind: span.kind, status: span.status, scopeName: "")
            return text != nil && (tag.value == nil || tag.value == text)
        case .event:
            return batch.events[span.events].contains {
                tag.value == nil || batch.slice($0.name, equals: tag.bytes)
            }
        }
    }
}
