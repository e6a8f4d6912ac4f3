internal import Bytes

/// Why a query string could not be read.
struct QueryStringError: Error, CustomStringConvertible {
    /// Byte offset of the pair within the query string.
    let offset: Int

    var description: String { "malformed percent-encoding in the query string at offset \(offset)" }
}

/// The parameters of a query string, decoded, in the order received.
struct QueryParameters: Sendable {
    let pairs: [(name: String, value: String)]

    /// Splits on `&` and the first `=`; a plus is a space. A pair without `=` has an empty value.
    init(_ raw: Substring) throws(QueryStringError) {
        var pairs: [(name: String, value: String)] = []
        var offset = 0
        for part in raw.split(separator: "&", omittingEmptySubsequences: false) {
            defer { offset += part.utf8.count + 1 }
            guard !part.isEmpty else { continue }
            let equals = part.utf8.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
            let rest = equals == part.endIndex ? part[equals...] : part[part.utf8.index(after: equals)...]
            guard let name = PercentEncoding.decoded(part[..<equals], plusIsSpace: true),
                let value = PercentEncoding.decoded(rest, plusIsSpace: true)
            else { throw QueryStringError(offset: offset) }
            pairs.append((name, value))
        }
        self.pairs = pairs
    }

    /// The first value of a parameter; nil when absent.
    subscript(_ name: String) -> String? {
        pairs.first { $0.name == name }?.value
    }

    /// The first value that is not empty.
    func nonEmpty(_ name: String) -> String? {
        self[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    func all(_ name: String) -> [String] {
        pairs.filter { $0.name == name }.map(\.value)
    }
}

enum PercentEncoding {
    /// Nil when a `%` is not followed by two hexadecimal digits or the bytes are not UTF-8.
    static func decoded(_ text: Substring, plusIsSpace: Bool) -> String? {
        let bytes = text.utf8
        guard bytes.contains(where: { $0 == UInt8(ascii: "%") || $0 == UInt8(ascii: "+") }) else {
            return String(text)
        }
        var output: [UInt8] = []
        var iterator = bytes.makeIterator()
        while let byte = iterator.next() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = iterator.next().flatMap(hexValue), let low = iterator.next().flatMap(hexValue)
                else { return nil }
                output.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: output.append(UInt8(ascii: " "))
            default: output.append(byte)
            }
        }
        return String(validating: output, as: UTF8.self)
    }
}
