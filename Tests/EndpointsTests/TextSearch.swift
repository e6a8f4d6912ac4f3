/// What tests need of text search, without Foundation.
extension StringProtocol {
    /// Where `text` is first found.
    func range(of text: String) -> Index? {
        var index = startIndex
        while index != endIndex {
            if self[index...].hasPrefix(text) { return index }
            index = self.index(after: index)
        }
        return nil
    }
}

extension String {
    /// The pieces between the places of `separator`.
    func components(of separator: String) -> [Substring] {
        var pieces: [Substring] = []
        var rest = self[...]
        while let place = rest.range(of: separator) {
            pieces.append(rest[..<place])
            rest = rest[rest.index(place, offsetBy: separator.count)...]
        }
        return pieces + [rest]
    }
}
