/// Which spans a search wants: every condition that is set must hold on one and the same span.
///
/// Attribute conditions compare text: see ``AttributeText``. Times are unix nanoseconds, durations nanoseconds.
package struct SpanFilter: Hashable, Sendable {
    package struct Tag: Hashable, Sendable {
        package var key: String
        /// Nil: the key only has to be there.
        package var value: String?

        package init(_ key: String, _ value: String?) {
            self.key = key
            self.value = value
        }
    }

    package var tenant = BatchOrigin.defaultTenant
    package var service: String?
    package var operation: String?
    package var kind: SpanKind?
    /// Each must be found among the span's own attributes, its resource's or its events', or as one of the
    /// derived tags `error`, `span.kind`, `otel.status_code`, `otel.scope.name`.
    package var tags: [Tag] = []
    package var minDuration: UInt64?
    package var maxDuration: UInt64?
    /// Bounds of the span's start, both inclusive.
    package var earliestStart: UInt64?
    package var latestStart: UInt64?
    /// True: only spans with status error. False: only others.
    package var error: Bool?

    package init() {}

    /// The conditions that need no string: start, duration, kind and status.
    package func matchesNumbers(start: UInt64, end: UInt64, kind: UInt8, status: UInt8) -> Bool {
        if let earliestStart, start < earliestStart { return false }
        if let latestStart, start > latestStart { return false }
        let duration = end > start ? end - start : 0
        if let minDuration, duration < minDuration { return false }
        if let maxDuration, duration > maxDuration { return false }
        if let wanted = self.kind, kind != wanted.rawValue { return false }
        if let error, (status == SpanStatus.error.rawValue) != error { return false }
        return true
    }

    /// Whether a materialised span matches. The definition that faster paths must agree with.
    package func matches(_ span: SpanRecord) -> Bool {
        guard matchesNumbers(start: span.start, end: span.end, kind: span.kind, status: span.status) else {
            return false
        }
        if let service, span.serviceName != service { return false }
        if let operation, span.name != operation { return false }
        return tags.allSatisfy { matches($0, span) }
    }

    private func matches(_ tag: Tag, _ span: SpanRecord) -> Bool {
        let derived = DerivedTag.value(
            of: tag.key, kind: span.kind, status: span.status, scopeName: span.scope.name)
        if let derived, tag.value == nil || tag.value == derived { return true }
        let lists = [span.attributes, span.resource.attributes] + span.events.map(\.attributes)
        for list in lists {
            for attribute in list where attribute.key == tag.key {
                guard let wanted = tag.value else { return true }
                if AttributeText.text(attribute.value) == wanted { return true }
            }
        }
        return tag.key == "event" && span.events.contains { tag.value == nil || $0.name == tag.value }
    }
}

/// Tags that the Jaeger dialect shows though no attribute carries them.
package enum DerivedTag {
    /// The text a span has for a derived key, or nil when the key is not derived or absent on it.
    package static func value(of key: String, kind: UInt8, status: UInt8, scopeName: String) -> String? {
        switch key {
        case "error": status == SpanStatus.error.rawValue ? "true" : nil
        case "span.kind": SpanKind(rawValue: kind).flatMap { $0 == .unspecified ? nil : $0.label }
        case "otel.status_code":
            switch SpanStatus(rawValue: status) {
            case .ok: "OK"
            case .error: "ERROR"
            case .unset, nil: nil
            }
        case "otel.scope.name": scopeName.isEmpty ? nil : scopeName
        default: nil
        }
    }
}

/// The text form of attribute values that searches compare and text dialects show.
package enum AttributeText {
    /// Strings as they are, `true`/`false`, decimal integers, shortest doubles, base64 bytes, arrays and maps as JSON.
    package static func text(_ value: AttributeValue) -> String {
        switch value {
        case .empty: ""
        case .string(let text): text
        case .bool(let flag): flag ? "true" : "false"
        case .int(let number): String(number)
        case .double(let number): doubleText(number)
        case .bytes(let bytes): base64(bytes)
        case .array, .map: json(value)
        }
    }

    private static func doubleText(_ number: Double) -> String {
        let text = "\(number)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    private static func json(_ value: AttributeValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .bytes(let bytes): quoted(base64(bytes))
        case .empty: "null"
        case .double(let number): number.isFinite ? doubleText(number) : quoted("\(number)")
        case .bool, .int: text(value)
        case .array(let elements): "[" + elements.map(json).joined(separator: ",") + "]"
        case .map(let entries):
            "{" + entries.map { quoted($0.key) + ":" + json($0.value) }.joined(separator: ",") + "}"
        }
    }

    private static func quoted(_ text: String) -> String {
        var output = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": output += "\\\""
            case "\\": output += "\\\\"
            case "\n": output += "\\n"
            case "\r": output += "\\r"
            case "\t": output += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                output += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: output.unicodeScalars.append(scalar)
            }
        }
        return output + "\""
    }

    /// Standard base64 with padding (RFC 4648 section 4).
    package static func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        var index = 0
        while index < bytes.count {
            let chunk = bytes[index..<min(index + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in chunk { word = word << 8 | UInt32(byte) }
            word <<= 8 * UInt32(3 - chunk.count)
            for position in 0..<4 {
                let shift = UInt32(18 - 6 * position)
                output.append(position <= chunk.count ? alphabet[Int(word >> shift & 63)] : UInt8(ascii: "="))
            }
            index += 3
        }
        return String(decoding: output, as: UTF8.self)
    }
}
