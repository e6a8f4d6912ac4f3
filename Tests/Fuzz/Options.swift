/// What stands behind the command.
struct Options {
    var seed: UInt64 = 1
    /// Nil: not said.
    var seconds: Int?
    var events: Int?
    var jobs = 2
    var corpus = Corpus(folder: "Tests/Corpus")
    var input: [UInt8]?

    /// Nil for a flag or a value that is none.
    init?(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let flag = rest.popFirst() {
            guard let value = rest.popFirst() else { return nil }
            let number = Int(value).flatMap { $0 > 0 ? $0 : nil }
            switch flag {
            case "--corpus": corpus = Corpus(folder: value)
            case "--input":
                input = Self.bytes(hex: value)
                if input == nil { return nil }
            case "--seed": seed = UInt64(number ?? 1)
            case "--seconds": seconds = number
            case "--events": events = number
            case "--jobs": jobs = number ?? 1
            default: return nil
            }
            if number == nil, flag != "--corpus", flag != "--input" { return nil }
        }
        if seconds == nil, events == nil { seconds = 6 }
    }

    private static func bytes(hex: String) -> [UInt8]? {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.count, digits.count.isMultiple(of: 2) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
