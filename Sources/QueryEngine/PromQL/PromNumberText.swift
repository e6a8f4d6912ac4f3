/// Values as Prometheus prints them: the shortest digits that read back, without an exponent between 1e-6 and 1e21.
package enum PromNumberText {
    package static func text(_ value: Double) -> String {
        guard value.isFinite, value != 0 else { return decimal(value) }
        let magnitude = value.magnitude
        guard magnitude < 1e-6 || magnitude >= 1e21 else { return decimal(value) }
        let (digits, point) = parts(magnitude)
        let exponent = point - 1
        let fraction = digits.count > 1 ? "." + String(decoding: digits.dropFirst(), as: UTF8.self) : ""
        let number = String(exponent.magnitude)
        let power = (exponent < 0 ? "-" : "+") + (number.utf8.count < 2 ? "0" + number : number)
        return (value < 0 ? "-" : "") + String(decoding: digits.prefix(1), as: UTF8.self) + fraction + "e" + power
    }

    /// Never with an exponent.
    package static func decimal(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        let sign = value.sign == .minus ? "-" : ""
        if value == 0 { return sign + "0" }
        let (digits, point) = parts(value.magnitude)
        let text = String(decoding: digits, as: UTF8.self)
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + text }
        if point >= digits.count { return sign + text + String(repeating: "0", count: point - digits.count) }
        return sign + text.prefix(point) + "." + text.dropFirst(point)
    }

    /// Digits without zeros at either end, and where among them the decimal point is.
    private static func parts(_ magnitude: Double) -> (digits: [UInt8], point: Int) {
        var digits: [UInt8] = []
        var point: Int?
        var exponent = 0
        let text = magnitude.description
        let mantissa = text.prefix { $0 != "e" }
        if mantissa.endIndex != text.endIndex {
            exponent = Int(text[text.index(after: mantissa.endIndex)...]) ?? 0
        }
        for byte in mantissa.utf8 {
            if byte == UInt8(ascii: ".") { point = digits.count } else { digits.append(byte) }
        }
        var place = (point ?? digits.count) + exponent
        let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
        digits.removeFirst(zeros)
        place -= zeros
        while digits.last == UInt8(ascii: "0") { digits.removeLast() }
        return (digits, place)
    }
}
