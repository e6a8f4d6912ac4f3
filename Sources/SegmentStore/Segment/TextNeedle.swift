internal import Bytes
internal import Telemetry

/// A text that stored values are compared with, in every form that values are stored in.
///
/// Equal means what `String` means by it (canonical equivalence), as in ``SpanFilter/matches(_:)``.
struct TextNeedle {
    let text: String
    private let bytes: [UInt8]
    private let isASCII: Bool
    private let int: Int64?
    private let double: Double?

    init(_ text: String) {
        self.text = text
        bytes = Array(text.utf8)
        isASCII = text.utf8.allSatisfy { $0 < 0x80 }
        int = Int64(text).flatMap { String($0) == text ? $0 : nil }
        double = Double(text)
    }

    func matches(_ stored: ArraySlice<UInt8>) -> Bool {
        if stored.count == bytes.count, stored.elementsEqual(bytes) { return true }
        // Texts with different bytes can only be equal when one of them goes beyond ASCII.
        guard !isASCII || stored.contains(where: { $0 >= 0x80 }) else { return false }
        return String(decoding: stored, as: UTF8.self) == text
    }

    func matches(_ type: AttributeType, _ stored: ArraySlice<UInt8>) -> Bool {
        if type == .string { return matches(stored) }
        return AttributeText.text(AttributeDecoding.value(type, stored)) == text
    }

    /// Bools, ints and doubles as a column stores them.
    func matches(_ type: AttributeType, _ stored: UInt64) -> Bool {
        switch type {
        case .bool: text == (stored != 0 ? "true" : "false")
        case .int: int == zigzagDecoded(stored)
        case .double: matches(Double(bitPattern: stored))
        case .empty, .string, .bytes, .array, .map: text.isEmpty
        }
    }

    private func matches(_ stored: Double) -> Bool {
        guard stored.isNaN || stored == double else { return false }
        return AttributeText.text(.double(stored)) == text
    }
}
