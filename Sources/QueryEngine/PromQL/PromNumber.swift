/// Numbers as PromQL spells them in its literals and in the label `le`.
enum PromNumber {
    /// A literal: whole numbers as Go reads them, where a leading zero means octal, else a decimal fraction.
    static func value(_ text: String) -> Double? {
        let bytes = Array(text.utf8)
        if bytes.count > 1, bytes[0] == UInt8(ascii: "0") {
            if bytes[1] | 0x20 == UInt8(ascii: "x") { return hexadecimal(bytes.dropFirst(2)) }
            if let octal = octal(bytes.dropFirst()) { return octal }
        }
        return float(text)
    }

    /// A value in text form, `+Inf` and `NaN` included; nil for anything else and for what no double can hold.
    static func float(_ text: String) -> Double? {
        var digits = Substring(text)
        let isNegative = digits.first == "-"
        if let sign = digits.first, sign == "+" || sign == "-" { digits = digits.dropFirst() }
        switch digits.lowercased() {
        case "inf", "infinity": return isNegative ? -.infinity : .infinity
        case "nan": return digits.count == text.count ? .nan : nil
        default: break
        }
        guard let first = digits.utf8.first, isDigit(first) || first == UInt8(ascii: ".") else { return nil }
        // Swift wants a digit on both sides of the point.
        var spelled = first == UInt8(ascii: ".") ? "0" + digits : String(digits)
        if let point = spelled.firstIndex(of: ".") {
            let next = spelled.index(after: point)
            if next == spelled.endIndex || !(spelled[next].isASCII && spelled[next].isNumber) {
                guard digits.count > 1 else { return nil }
                spelled.insert("0", at: next)
            }
        }
        guard let value = Double(spelled), value.isFinite else { return nil }
        return isNegative ? -value : value
    }

    /// Nil when empty or beyond 63 bits.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> Double? {
        guard !digits.isEmpty else { return nil }
        var value: Int64 = 0
        for digit in digits {
            guard let nibble = hexValue(digit), value <= Int64.max >> 4 else { return nil }
            value = value << 4 | Int64(nibble)
        }
        return Double(value)
    }

    private static func octal(_ digits: ArraySlice<UInt8>) -> Double? {
        var value: Int64 = 0
        for digit in digits {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "7"), value <= Int64.max >> 3 else { return nil }
            value = value << 3 | Int64(digit - UInt8(ascii: "0"))
        }
        return Double(value)
    }
}
