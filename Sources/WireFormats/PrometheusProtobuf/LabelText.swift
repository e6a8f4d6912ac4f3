/// Walks label text (`a="x",b="y"`, escaped) without making strings.
struct LabelText {
    private let text: UnsafeRawBufferPointer
    private var offset = 0

    init(_ text: UnsafeRawBufferPointer) { self.text = text }

    /// The next name, borrowed; its value goes unescaped into `value`. Nil at the end or where the text is broken.
    mutating func next(into value: inout [UInt8]) -> UnsafeRawBufferPointer? {
        value.removeAll(keepingCapacity: true)
        let start = offset
        while offset < text.count, text[offset] != UInt8(ascii: "=") { offset += 1 }
        guard offset + 1 < text.count, offset > start else { return nil }
        let name = UnsafeRawBufferPointer(rebasing: text[start..<offset])
        offset += 2
        while offset < text.count, text[offset] != UInt8(ascii: "\"") {
            if text[offset] == UInt8(ascii: "\\"), offset + 1 < text.count {
                offset += 1
                value.append(text[offset] == UInt8(ascii: "n") ? 0x0a : text[offset])
            } else {
                value.append(text[offset])
            }
            offset += 1
        }
        offset += 2
        return name
    }
}
