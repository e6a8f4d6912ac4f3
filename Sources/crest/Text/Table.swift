/// Rows under a heading, in columns as wide as their widest cell.
struct Table {
    enum Alignment { case left, right }

    private let headings: [(title: String, alignment: Alignment)]
    private var rows: [[String]] = []

    init(_ headings: [(title: String, alignment: Alignment)]) { self.headings = headings }

    /// Adds a row; cells are made safe to print. Missing cells are empty, surplus ones are left out.
    mutating func append(_ cells: [String]) {
        rows.append(headings.indices.map { $0 < cells.count ? SafeText.escape(cells[$0]) : "" })
    }

    var isEmpty: Bool { rows.isEmpty }

    /// The lines, the heading first; `style` colours the heading.
    func lines(style: (String) -> String = { $0 }) -> [String] {
        var widths = headings.map { DisplayWidth.of($0.title) }
        for row in rows {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], DisplayWidth.of(cell)) }
        }
        return [style(line(headings.map(\.title), widths))] + rows.map { line($0, widths) }
    }

    private func line(_ cells: [String], _ widths: [Int]) -> String {
        var text = ""
        for (column, cell) in cells.enumerated() {
            if column > 0 { text += "  " }
            let isLast = column == cells.count - 1
            switch headings[column].alignment {
            case .right: text += DisplayWidth.padLeft(cell, to: widths[column])
            case .left: text += isLast ? cell : DisplayWidth.padRight(cell, to: widths[column])
            }
        }
        while text.last == " " { text.removeLast() }
        return text
    }
}
