package import Telemetry

extension LineRejection {
    /// The reason as a sentence for the person who sent the line. Source: schemas/wire/statsd.md, "Line".
    package var explanation: String {
        switch self {
        case .noColon: "there is no ':' after the name, or a '|' stands before it"
        case .noType: "there is no type after the value: value|c, |g, |ms, |h, |d or |s"
        case .emptyName: "there is no name"
        case .badValue: "the value is no plain decimal number that this type may have"
        case .badType: "the type is none of c, g, ms, h, d, s"
        case .badRate: "the rate after @ is no number from 0.000001 to 1"
        case .badTag: "a tag has no key, or a '[' has no ']'"
        case .notANumber: "the value is not a number or is infinite"
        case .negativeCounter: "a counter cannot go down"
        case .badUTF8: "a name or a tag's key is not UTF-8"
        case .lineTooLong: "the line is longer than \(Limits.lineBytes) bytes"
        case .tooManyTags: "the line has more than \(Limits.tagsPerLine) tags"
        case .droppedByRule: "a mapping or relabelling rule drops such lines"
        case .unsupported: "such lines are not taken"
        }
    }
}
