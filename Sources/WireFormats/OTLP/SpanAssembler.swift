internal import Bytes
internal import Telemetry

/// Where the decoder stands, for messages: indices of the containers and of the span.
struct SpanPlace {
    var resource = 0
    var scope = 0
    var span = 0

    func text(_ form: SpanPlaceForm) -> String {
        switch form {
        case .otlp: "resourceSpans[\(resource)].scopeSpans[\(scope)].spans[\(span)]"
        case .jaeger: "spans[\(span)]"
        }
    }
}

/// In whose words a place is told.
enum SpanPlaceForm {
    case otlp
    case jaeger
}

/// Builds a batch span by span for the OTLP decoders: repairs text, keeps the limits, takes back rejected spans.
///
/// Rows of resources and scopes are made with the first span kept under them, so that empty containers cost nothing.
struct SpanAssembler: ~Copyable {
    var builder = SpanBatchBuilder()
    var place = SpanPlace()
    private var keyCache = TextCache()
    private var valueCache = TextCache()
    private(set) var received = 0
    private var rejections = RejectionCount()
    private var resource = ResourceRow()
    private var scope = ScopeRow()
    private var hasResourceRow = false
    private var hasScopeRow = false
    /// A text was repaired since the last span was added.
    private var hasRepaired = false
    private let form: SpanPlaceForm

    init(bodyBytes: Int, form: SpanPlaceForm = .otlp) {
        self.form = form
        builder.reserve(forBodyBytes: bodyBytes)
    }

    /// Where the next attribute row will stand.
    @inline(__always) var attributeIndex: UInt32 { UInt32(truncatingIfNeeded: builder.attributes.count) }

    mutating func beginResource(_ row: ResourceRow) {
        resource = row
        resource.serviceName = serviceName(row.attributes)
        hasResourceRow = false
    }

    mutating func beginScope(_ row: ScopeRow) {
        scope = row
        hasScopeRow = false
    }

    /// Fills in the resource begun, before any span of it; its schema URL stays.
    mutating func setResource(_ row: ResourceRow) {
        let url = resource.schemaURL
        beginResource(row)
        resource.schemaURL = url
    }

    /// Fills in the scope begun, before any span of it; its schema URL stays.
    mutating func setScope(_ row: ScopeRow) {
        let url = scope.schemaURL
        beginScope(row)
        scope.schemaURL = url
    }

    /// For formats in which the URL may come behind the spans.
    mutating func setResourceSchemaURL(_ url: ByteSlice) {
        resource.schemaURL = url
        if hasResourceRow { builder.resources[builder.resources.count - 1].schemaURL = url }
    }

    mutating func setScopeSchemaURL(_ url: ByteSlice) {
        scope.schemaURL = url
        if hasScopeRow { builder.scopes[builder.scopes.count - 1].schemaURL = url }
    }

    private func serviceName(_ range: Range<Int>) -> ByteSlice {
        let name = Array("service.name".utf8)
        for row in builder.attributes[range] where row.type == .string {
            let key = builder.keys[row.key]
            let bytes = builder.arena[Int(key.offset)..<Int(key.offset) + Int(key.count)]
            if bytes.elementsEqual(name) { return row.slice }
        }
        return .empty
    }

    /// Adds a finished span whose attributes, events and links are the last rows of the builder.
    mutating func add(_ span: SpanRow) {
        received += 1
        if !hasResourceRow {
            builder.resources.append(resource)
            hasResourceRow = true
            hasScopeRow = false
        }
        if !hasScopeRow {
            scope.resource = UInt32(truncatingIfNeeded: builder.resources.count - 1)
            builder.scopes.append(scope)
            hasScopeRow = true
        }
        var span = span
        span.scope = UInt32(truncatingIfNeeded: builder.scopes.count - 1)
        if hasRepaired {
            span.marks.insert(.repairedText)
            hasRepaired = false
        }
        builder.spans.append(span)
    }

    /// Counts a span that is refused and takes back the rows it has added since `start`.
    mutating func reject(_ reason: SpanRejection, from start: SpanRow) {
        takeBack(from: start)
        rejections.add(reason, at: place.text(form))
    }

    /// - Parameter text: place and reason; only looked at for the first.
    mutating func reject(_ reason: SpanRejection, from start: SpanRow, message text: @autoclosure () -> String) {
        takeBack(from: start)
        rejections.add(reason, message: text())
    }

    private mutating func takeBack(from start: SpanRow) {
        received += 1
        builder.attributes.removeLast(builder.attributes.count - Int(start.firstAttribute))
        builder.events.removeLast(builder.events.count - Int(start.firstEvent))
        builder.links.removeLast(builder.links.count - Int(start.firstLink))
    }

    /// A span row that says where the rows of a new span begin.
    func newSpan() -> SpanRow {
        var row = SpanRow()
        row.firstAttribute = attributeIndex
        row.firstEvent = UInt32(truncatingIfNeeded: builder.events.count)
        row.firstLink = UInt32(truncatingIfNeeded: builder.links.count)
        return row
    }

    consuming func finish(_ origin: BatchOrigin) -> DecodedSpans {
        let (received, rejections) = (received, rejections)
        return DecodedSpans(
            batch: builder.finish(origin), received: received, rejected: rejections.counts,
            message: rejections.message)
    }
}

/// Text: cut to its limit and copied into the arena. What is no UTF-8 in it becomes U+FFFD and marks the span: clients
/// that cut texts by bytes would lose whole batches otherwise.
extension SpanAssembler {
    /// A string of a container or a trace state, cut to ``Limits/nameBytes`` without a mark.
    mutating func string(_ bytes: UnsafeRawBufferPointer) -> ByteSlice {
        if isUTF8(bytes) { return builder.append(utf8Prefix(bytes, Limits.nameBytes)) }
        return repaired(bytes, Limits.nameBytes).withUnsafeBytes { builder.append($0) }
    }

    /// A string of a span, cut to `limit` with a mark.
    @inline(__always)
    mutating func string(_ bytes: UnsafeRawBufferPointer, limit: Int, marks: inout SpanMarks) -> ByteSlice {
        guard let base = bytes.baseAddress, bytes.count > 0 else { return .empty }
        guard bytes.count <= Self.cachedBytes else { return uncached(bytes, limit: limit, marks: &marks) }
        let text = TextCache.Fingerprint(base, count: bytes.count)
        if let known = valueCache.find(text) {
            return ByteSlice(offset: UInt32(truncatingIfNeeded: known), count: UInt32(truncatingIfNeeded: bytes.count))
        }
        guard isUTF8(bytes) else { return uncached(bytes, limit: limit, marks: &marks) }
        let offset = builder.arena.count
        builder.arena.append(contentsOf: bytes)
        valueCache.store(text, UInt64(truncatingIfNeeded: offset))
        return ByteSlice(
            offset: UInt32(truncatingIfNeeded: offset), count: UInt32(truncatingIfNeeded: bytes.count))
    }

    /// Longer texts seldom repeat.
    private static var cachedBytes: Int { 128 }

    @inline(never)
    private mutating func uncached(
        _ bytes: UnsafeRawBufferPointer, limit: Int, marks: inout SpanMarks
    ) -> ByteSlice {
        if bytes.count > limit { marks.insert(.truncated) }
        if isUTF8(bytes) { return builder.append(utf8Prefix(bytes, limit)) }
        return repaired(bytes, limit).withUnsafeBytes { builder.append($0) }
    }

    /// The index of a key of at least one byte, cut to ``Limits/nameBytes``; nil when the batch has no room for
    /// another key.
    @inline(__always)
    mutating func key(_ bytes: UnsafeRawBufferPointer, marks: inout SpanMarks) -> Int? {
        guard let base = bytes.baseAddress else { return nil }
        let text = TextCache.Fingerprint(base, count: bytes.count)
        if let known = keyCache.find(text) { return Int(truncatingIfNeeded: known) }
        return newKey(bytes, text, marks: &marks)
    }

    @inline(never)
    private mutating func newKey(
        _ bytes: UnsafeRawBufferPointer, _ text: TextCache.Fingerprint, marks: inout SpanMarks
    ) -> Int? {
        guard isUTF8(bytes) else {
            let index = repaired(bytes, Limits.nameBytes).withUnsafeBytes { builder.key($0) }
            return index < AttributeRow.keyLimit ? index : nil
        }
        let kept = utf8Prefix(bytes, Limits.nameBytes)
        let index = builder.key(kept)
        guard index < AttributeRow.keyLimit else { return nil }
        if kept.count < bytes.count { marks.insert(.truncated) } else { keyCache.store(text, UInt64(index)) }
        return index
    }

    /// Well-formed text in place of bytes that are none, at most `limit` bytes. The next span added is marked.
    @inline(never)
    mutating func repaired(_ bytes: UnsafeRawBufferPointer, _ limit: Int) -> [UInt8] {
        hasRepaired = true
        return repairedUTF8(bytes, limit)
    }
}

/// Whether the bytes are well-formed UTF-8.
@inline(__always)
func isUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool { isASCII(bytes) || invalidUTF8Offset(bytes) == nil }

/// Whether no byte has its high bit set.
@inline(__always)
func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress else { return true }
    let high: UInt64 = 0x8080_8080_8080_8080
    var offset = 0
    var seen: UInt64 = 0
    while bytes.count &- offset >= 8 {
        seen |= base.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        offset &+= 8
    }
    while offset < bytes.count {
        seen |= UInt64(base.load(fromByteOffset: offset, as: UInt8.self))
        offset &+= 1
    }
    return seen & high == 0
}

/// What is no UTF-8 as U+FFFD, at most `limit` bytes of it.
func repairedUTF8(_ bytes: UnsafeRawBufferPointer, _ limit: Int) -> [UInt8] {
    // U+FFFD takes more room than what it stands for: cut before, so that a body cannot make three of itself.
    let text = Array(String(decoding: bytes.prefix(limit), as: UTF8.self).utf8)
    return text.withUnsafeBytes { Array(utf8Prefix($0, limit)) }
}

/// The longest prefix of well-formed UTF-8 that has at most `limit` bytes and cuts no character.
func utf8Prefix(_ bytes: UnsafeRawBufferPointer, _ limit: Int) -> UnsafeRawBufferPointer {
    guard bytes.count > limit else { return bytes }
    var end = limit
    while end > 0, bytes[end] & 0xc0 == 0x80 { end -= 1 }
    return UnsafeRawBufferPointer(rebasing: bytes[..<end])
}
