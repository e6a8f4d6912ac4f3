package import QueryEngine

/// Recorded series in memory.
package struct MemorySamples: SampleSource {
    /// Sorted by their labels as text.
    package private(set) var all: [SampledSeries]

    package init(_ series: [SampledSeries]) { all = series }

    /// From lines `name{label="value"} 1.5 1600000000.250`, the last word the time in seconds; lines that begin with
    /// `#` and lines of another form are skipped. Lines of one series need not be together but ascend in time.
    package init(openMetrics text: String) {
        var series: [String: SampledSeries] = [:]
        for line in text.split(separator: "\n") where line.first != "#" {
            guard let close = line.lastIndex(of: "}") ?? line.firstIndex(of: " ") else { continue }
            let end = line[close] == "}" ? line.index(after: close) : close
            let words = line[end...].split(separator: " ")
            guard words.count == 2, let value = Double(words[0]), let seconds = Double(words[1]) else { continue }
            let key = String(line[..<end])
            if series[key] == nil {
                series[key] = SampledSeries(labels: Self.labels(Array(key.unicodeScalars)), timestamps: [], values: [])
            }
            series[key]?.timestamps.append(Int64((seconds * 1_000).rounded()))
            series[key]?.values.append(value)
        }
        all = series.sorted { $0.key < $1.key }.map(\.value)
    }

    private static func labels(_ text: [Unicode.Scalar]) -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        var word = String.UnicodeScalarView()
        var name = "__name__"
        var isQuoted = false
        var index = 0
        func finish() {
            if !word.isEmpty { result.append((name, String(word))) }
            word = String.UnicodeScalarView()
        }
        while index < text.count {
            let scalar = text[index]
            if isQuoted, scalar == "\\", index + 1 < text.count {
                index += 1
                word.append(text[index] == "n" ? "\n" : text[index])
            } else if scalar == "\"" {
                isQuoted.toggle()
            } else if isQuoted {
                word.append(scalar)
            } else if scalar == "{" || scalar == "," || scalar == "}" {
                finish()
            } else if scalar == "=" {
                name = String(word)
                word = String.UnicodeScalarView()
            } else {
                word.append(scalar)
            }
            index += 1
        }
        finish()
        return result.sorted { $0.name < $1.name }
    }

    package func series(matching matchers: [LabelMatcher], from: Int64, through: Int64) throws -> [SampledSeries] {
        let wanted = try MatcherSet(matchers)
        return all.filter { wanted.matches($0.labels) }.compactMap { series in
            let places = series.timestamps.indices.filter {
                series.timestamps[$0] >= from && series.timestamps[$0] <= through
            }
            guard let first = places.first, let last = places.last else { return nil }
            return SampledSeries(
                labels: series.labels, timestamps: Array(series.timestamps[first...last]),
                values: Array(series.values[first...last]))
        }
    }
}
