/// Values over time as a row of small bars.
enum Sparkline {
    private static let bars = Array("▁▂▃▄▅▆▇█")
    private static let plainBars = Array("_.-=+*#@")

    /// How values that fall into one cell are put together.
    enum Joining { case sum, last, greatest }

    /// One value a cell; nil where there is none.
    /// - Parameters:
    ///   - from: the first second; the cells share `seconds` seconds evenly.
    static func cells(
        times: [Double], values: [Double], from: Double, seconds: Double, count: Int, joining: Joining
    ) -> [Double?] {
        var cells = [Double?](repeating: nil, count: count)
        guard seconds > 0, count > 0 else { return cells }
        for (time, value) in zip(times, values) where time >= from && time < from + seconds && value.isFinite {
            let cell = min(Int((time - from) / seconds * Double(count)), count - 1)
            switch joining {
            case .sum: cells[cell] = (cells[cell] ?? 0) + value
            case .last: cells[cell] = value
            case .greatest: cells[cell] = max(cells[cell] ?? value, value)
            }
        }
        return cells
    }

    /// - Parameter base: what the lowest bar stands for; nil: the least value.
    static func text(_ cells: [Double?], base: Double?, unicode: Bool) -> String {
        let known = cells.compactMap { $0 }
        guard let least = known.min(), let greatest = known.max() else { return "" }
        let low = base.map { min($0, least) } ?? least
        let set = unicode ? bars : plainBars
        return String(
            cells.map { cell in
                guard let cell else { return " " }
                guard greatest > low else { return set[base == nil ? set.count / 2 : 0] }
                return set[Int(((cell - low) / (greatest - low) * Double(set.count - 1)).rounded())]
            })
    }
}
