internal import Bytes

/// Text with places for the groups of a match: `$1`, `${1}`, `${name}`; `$$` is a dollar sign.
///
/// `$1_total` is group 1 and `_total`: digits end at the first character that is none.
package struct MappingTemplate: Hashable, Sendable, CustomStringConvertible {
    private enum Part: Hashable {
        case text(String)
        case group(Int)
    }

    package let description: String
    private let parts: [Part]

    /// - Parameter groupNames: of the pattern, the whole match first.
    /// - Throws: a text that says which group is missing.
    package init(_ text: String, groupNames: [String?]) throws(MappingError) {
        description = text
        var parts: [Part] = []
        var literal = ""
        var rest = text.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "$", let next = rest.first else {
                literal.unicodeScalars.append(scalar)
                continue
            }
            if next == "$" {
                rest.removeFirst()
                literal += "$"
                continue
            }
            let isBraced = next == "{"
            if isBraced { rest.removeFirst() }
            let name = String(
                Substring(rest.prefix { Self.isNameScalar($0) && (isBraced || ("0"..."9").contains($0)) }))
            rest.removeFirst(name.unicodeScalars.count)
            if name.isEmpty || isBraced && rest.popFirst() != "}" {
                throw MappingError("'\(text)' has a $ without a group; write $1, ${1}, or $$ for a dollar sign")
            }
            guard let group = Int(name) ?? groupNames.firstIndex(of: name), groupNames.indices.contains(group) else {
                throw MappingError("'\(text)' names group \(name), which the match does not have")
            }
            if !literal.isEmpty { parts.append(.text(literal)) }
            literal = ""
            parts.append(.group(group))
        }
        if !literal.isEmpty || parts.isEmpty { parts.append(.text(literal)) }
        self.parts = parts
    }

    private static func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
        scalar == "_" || scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
    }

    func expanded(_ groups: [String?]) -> [UInt8] {
        var result = ""
        for part in parts {
            switch part {
            case .text(let text): result += text
            case .group(let index): result += index < groups.count ? groups[index] ?? "" : ""
            }
        }
        return Array(result.utf8)
    }
}

/// What is wrong with a rule.
package struct MappingError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
