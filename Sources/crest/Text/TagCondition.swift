/// `key=value` or `key:value` as users write it; the server wants `key:value`.
enum TagCondition {
    /// The first `=` or `:` parts key and value, so that values may hold both.
    static func normalize(_ text: String, option: String) throws(Failure) -> String {
        guard let mark = text.firstIndex(where: { $0 == "=" || $0 == ":" }), mark > text.startIndex else {
            throw .usage("\(option) '\(SafeText.escape(text))' must be key=value")
        }
        return text[..<mark] + ":" + text[text.index(after: mark)...]
    }
}
