/// Reads label text, `a="b",c="d"`, in place: names and values as they stand there, escapes included.
enum LabelText {
    /// Calls `body` with each name and its escaped value, in order.
    static func forEach(
        _ text: UnsafeRawBufferPointer,
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void
    ) {
        var offset = 0
        while offset < text.count {
            var end = offset
            while end < text.count, text[end] != UInt8(ascii: "=") { end += 1 }
            let name = UnsafeRawBufferPointer(rebasing: text[offset..<end])
            let start = min(end + 2, text.count)
            end = start
            while end < text.count, text[end] != UInt8(ascii: "\"") {
                end += text[end] == UInt8(ascii: "\\") ? 2 : 1
            }
            end = min(end, text.count)
            body(name, UnsafeRawBufferPointer(rebasing: text[start..<end]))
            offset = end + 2
        }
    }

    /// Label names as given and as those of datagrams become on a scrape: `job` stands there as `exported_job`, that of
    /// an OTLP resource as `job`.
    static func forms(of names: [String]) -> [[UInt8]] {
        var forms: [[UInt8]] = []
        for name in names {
            for form in [Array(name.utf8), Array(MetricNaming.labelName(of: Array(name.utf8)).utf8)]
            where !forms.contains(form) {
                forms.append(form)
            }
        }
        return forms
    }

    /// The escaped value of the first of `names` that is there.
    static func value(ofFirst names: [[UInt8]], in text: [UInt8]) -> [UInt8]? {
        text.withUnsafeBytes { text in
            for wanted in names {
                var found: [UInt8]?
                forEach(text) { name, value in
                    if name.elementsEqual(wanted) { found = Array(value) }
                }
                if let found { return found }
            }
            return nil
        }
    }

    private static let overflowMark = "\(MetricNaming.overflowLabel)=\"true\""
    /// The text of an overflow series that keeps no label.
    static let plainOverflow = Array(overflowMark.utf8)

    /// The text of an overflow series: the labels in `kept` and the mark, sorted.
    static func overflow(of text: [UInt8], keeping kept: [[UInt8]]) -> [UInt8] {
        let mark = Array(overflowMark.utf8)
        var result: [UInt8] = []
        var isMarked = false
        func add(_ pair: [UInt8]) {
            if !result.isEmpty { result.append(UInt8(ascii: ",")) }
            result.append(contentsOf: pair)
        }
        text.withUnsafeBytes { text in
            forEach(text) { name, value in
                guard kept.contains(where: { name.elementsEqual($0) }) else { return }
                if !isMarked, mark.lexicographicallyPrecedes(name) {
                    add(mark)
                    isMarked = true
                }
                var pair = Array(name)
                pair.append(contentsOf: "=\"".utf8)
                pair.append(contentsOf: value)
                pair.append(UInt8(ascii: "\""))
                add(pair)
            }
        }
        if !isMarked { add(mark) }
        return result
    }

    /// Whether a text is that of an overflow series. No label a client sends can have the mark's name.
    static func isOverflow(_ text: UnsafeRawBufferPointer) -> Bool {
        var isMarked = false
        forEach(text) { name, _ in
            if name.elementsEqual(MetricNaming.overflowLabel.utf8) { isMarked = true }
        }
        return isMarked
    }

    /// Undoes the escapes of a value.
    static func unescaped(_ value: some Sequence<UInt8>) -> String {
        var bytes: [UInt8] = []
        var isEscaped = false
        for byte in value {
            if isEscaped {
                bytes.append(byte == UInt8(ascii: "n") ? UInt8(ascii: "\n") : byte)
                isEscaped = false
            } else if byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
