/// The characters a waterfall is drawn with: lines and blocks, or ASCII for plain locales.
struct Glyphs {
    let unicode: Bool

    var error: String { unicode ? "✗" : "!" }
    var ellipsis: Character { unicode ? "…" : "~" }
    var link: String { unicode ? "→" : "->" }

    /// `│  ├─ ` in front of a span.
    func guide(_ row: TraceTree.Row) -> String {
        guard let last = row.more.last else { return "" }
        return levels(row, row.more.dropLast()) + (last ? tee : corner)
    }

    /// `│  │  ` in front of the lines that belong to a span.
    func margin(_ row: TraceTree.Row, hasChildren: Bool) -> String {
        levels(row, row.more[...]) + (hasChildren ? vertical : "   ")
    }

    private func levels(_ row: TraceTree.Row, _ more: ArraySlice<Bool>) -> String {
        let hidden = row.hiddenLevels > 0 ? "\(ellipsis)\(row.hiddenLevels) " : ""
        return hidden + more.map { $0 ? vertical : "   " }.joined()
    }

    private var vertical: String { unicode ? "│  " : "|  " }
    private var tee: String { unicode ? "├─ " : "|- " }
    private var corner: String { unicode ? "└─ " : "`- " }

    /// A bar of `columns` for the whole trace, blank before the span starts; at least one mark wide.
    func bar(from offset: Int64, length: Int64, of total: Int64, in columns: Int) -> String {
        guard columns > 0 else { return "" }
        let scale = total > 0 ? Double(columns) / Double(total) : 0
        let first = min(columns - 1, max(0, Int((Double(offset) * scale).rounded(.down))))
        let exact = Double(length) * scale
        let blank = String(repeating: " ", count: first)
        guard exact >= 0.75 || total == 0 else { return blank + (unicode ? "▏" : "|") }
        let wide = total > 0 ? max(1, Int(exact.rounded())) : columns
        return blank + String(repeating: unicode ? "█" : "#", count: min(wide, columns - first))
    }
}
