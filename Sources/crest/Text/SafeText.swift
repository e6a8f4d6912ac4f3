/// Text from a stranger, made safe to print: names and messages may hold escape sequences that would move the
/// cursor, change the title or hide a line.
enum SafeText {
    /// Control characters become `\n`, `\t`, `\x1b` and so on; characters that turn the reading direction or break
    /// the line become `\u202e` and so on. Everything else is kept.
    static func escape(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isUnsafe) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if !isUnsafe(scalar) {
                safe.unicodeScalars.append(scalar)
                continue
            }
            switch scalar {
            case "\n": safe += "\\n"
            case "\r": safe += "\\r"
            case "\t": safe += "\\t"
            default:
                safe +=
                    scalar.value < 0x100
                    ? "\\x" + hexadecimal(scalar.value, digits: 2) : "\\u" + hexadecimal(scalar.value, digits: 4)
            }
        }
        return safe
    }

    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0: return true
        case 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: return true
        default: return false
        }
    }

    static func hexadecimal(_ value: UInt32, digits: Int) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
