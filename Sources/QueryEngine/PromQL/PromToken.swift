/// One word of an expression.
struct PromToken: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case end
        /// A name or keyword; may hold colons.
        case word
        /// The value, unescaped.
        case string(String)
        case number(Double)
        /// Milliseconds.
        case duration(Int64)
        /// `( ) { } [ ] , @` and all operators that are no words.
        case symbol(String)
    }

    var kind: Kind
    /// Bytes of the text.
    var range: Range<Int>
}
