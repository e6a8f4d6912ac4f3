/// Command lines that can be pasted into a shell.
enum ShellText {
    /// Single quotes where a shell would not take the word as it is.
    static func quote(_ word: String) -> String {
        let plain = word.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                return true
            default: return "-_./:=,+@%".utf8.contains(byte)
            }
        }
        if plain, !word.isEmpty { return word }
        let inner = SafeText.escape(word).split(separator: "'", omittingEmptySubsequences: false)
        return "'" + inner.joined(separator: "'\\''") + "'"
    }

    /// `arguments` with one value for `option`, at the end, and without `dropped`, options that also take a value.
    static func replacingOption(
        _ option: String, with value: String, dropping dropped: [String] = [], in arguments: [String]
    ) -> [String] {
        var kept: [String] = []
        var skipsValue = false
        for argument in arguments {
            if skipsValue {
                skipsValue = false
            } else if argument == option || dropped.contains(argument) {
                skipsValue = true
            } else if !(dropped + [option]).contains(where: { argument.hasPrefix($0 + "=") }) {
                kept.append(argument)
            }
        }
        return kept + [option, value]
    }
}
