internal import Telemetry

/// Why a text is no expression, and where.
package struct PromParseError: Error, Hashable, Sendable, CustomStringConvertible {
    package let message: String
    /// In bytes from the start of the text.
    package let offset: Int
    /// Both from 1; the column counts bytes.
    package let line: Int
    package let column: Int

    init(_ message: String, at offset: Int, in text: [UInt8]) {
        self.message = message
        self.offset = offset
        let before = text.prefix(offset)
        line = 1 + before.count { $0 == UInt8(ascii: "\n") }
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        column = offset - lineStart + 1
    }

    package var description: String { "\(line):\(column): parse error: \(message)" }
}

/// Why a query gave no answer. The kinds are those that Prometheus tells apart.
package enum PromQueryError: Error, Hashable, Sendable {
    case parse(PromParseError)
    /// The question makes no sense: a range query of a range, too many steps.
    case badData(String)
    /// The evaluation met what it cannot answer: ambiguous matches, too many samples.
    case execution(String)
    case timeout
    case cancelled
    /// The samples could not be read.
    case storage(String)
}

extension PromQueryError {
    /// What a source threw.
    package init(reading error: any Error) {
        if error as? SampleSourceError == .tooManySeries {
            self = .execution("more than \(Limits.querySeries) series match; narrow the selector")
            return
        }
        switch error as? ReadError {
        case .stopped(.deadline): self = .timeout
        case .stopped(.cancelled): self = .cancelled
        case .stopped(.bytes(let limit)):
            self = .execution("the query would read more than \(limit) bytes; narrow it")
        case .storage(let reason): self = .storage(reason)
        case nil: self = .storage("\(error)")
        }
    }
}
