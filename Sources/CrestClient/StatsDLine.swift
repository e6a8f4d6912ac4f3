/// The unchanging parts of a line `name:value|type|#tag:value,tag:value`, made safe once and kept.
///
/// Characters that mean something to a parser (`:`, `|`, `,`, `#`, `@`, control characters, and white space in
/// names) become `_`; a colon inside a tag's value stays, because only the first one separates.
/// - Source: DogStatsD datagram format, version 1.1.
package struct StatsDLine: Sendable, Hashable {
    package enum Kind: String, Sendable {
        case counter = "c"
        case gauge = "g"
        case timer = "ms"
        case histogram = "h"
        case distribution = "d"
        case set = "s"
    }

    /// `name:`
    let prefix: [UInt8]
    /// `|type` and the tags.
    let suffix: [UInt8]

    package init(_ name: String, _ kind: Kind, tags: [(String, String)]) {
        self.prefix = StatsDLine.cleanName(name) + [UInt8(ascii: ":")]
        var suffix = Array("|\(kind.rawValue)".utf8)
        var separator = Array("|#".utf8)
        for (key, value) in tags {
            suffix += separator
            suffix += StatsDLine.cleanName(key)
            if !value.isEmpty {
                suffix.append(UInt8(ascii: ":"))
                suffix += StatsDLine.cleanValue(value)
            }
            separator = [UInt8(ascii: ",")]
        }
        self.suffix = suffix
    }

    /// The whole line for one value, already written as text.
    package func bytes(_ value: some Collection<UInt8>) -> [UInt8] {
        var line: [UInt8] = []
        line.reserveCapacity(prefix.count + value.count + suffix.count)
        line += prefix
        line += value
        line += suffix
        return line
    }

    /// An element of a set: `|` and line ends may not occur, a colon would start the next value.
    package static func cleanElement(_ text: String) -> [UInt8] {
        text.utf8.map { isReserved($0) || $0 == UInt8(ascii: ":") ? UInt8(ascii: "_") : $0 }
    }

    private static func cleanName(_ text: String) -> [UInt8] {
        let name = text.utf8.map { byte in
            isReserved(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: " ") ? UInt8(ascii: "_") : byte
        }
        return name.isEmpty ? [UInt8(ascii: "_")] : name
    }

    private static func cleanValue(_ text: String) -> [UInt8] {
        text.utf8.map { isReserved($0) ? UInt8(ascii: "_") : $0 }
    }

    private static func isReserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "|"), UInt8(ascii: ","), UInt8(ascii: "#"), UInt8(ascii: "@"), 0..<32, 127: true
        default: false
        }
    }
}

/// A number as StatsD servers read it: no exponent for usual sizes, `nil` for what is not a finite number.
package func statsdNumber(_ value: Double) -> [UInt8]? {
    guard value.isFinite else { return nil }
    if value == value.rounded(), abs(value) < 1e15 { return Array(String(Int64(value)).utf8) }
    return Array(value.description.utf8)
}

/// Milliseconds with the nanoseconds as decimals: 1,234,567 ns is `1.234567`.
package func statsdMilliseconds(nanoseconds: Int64) -> [UInt8] {
    let magnitude = nanoseconds.magnitude
    var text = Array(nanoseconds < 0 ? "-".utf8 : "".utf8)
    text += Array(String(magnitude / 1_000_000).utf8)
    let fraction = magnitude % 1_000_000
    if fraction == 0 { return text }
    var digits = Array(String(1_000_000 + fraction).utf8.dropFirst())
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    return text + [UInt8(ascii: ".")] + digits
}
