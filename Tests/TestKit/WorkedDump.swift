internal import Foundation

/// The hex dumps of the pages in schemas/disk.
package enum WorkedDump {
    /// The text of the block that starts with ```` ```hex name ````; empty when there is none.
    package static func text(_ name: String, on page: String, file: StaticString = #filePath) throws -> String {
        let url = URL(filePath: "\(file)").deletingLastPathComponent().appending(path: "../../schemas/disk/\(page)")
        let text = try String(contentsOf: url.standardizedFileURL, encoding: .utf8)
        guard let start = text.range(of: "```hex \(name)\n"),
            let end = text.range(of: "```", range: start.upperBound..<text.endIndex)
        else { return "" }
        return String(text[start.upperBound..<end.lowerBound])
    }

    /// `offset  16 bytes  |text|`, line by line.
    package static func formatted(_ bytes: [UInt8]) -> String {
        var lines = ""
        for start in stride(from: 0, to: bytes.count, by: 16) {
            let row = bytes[start..<min(start + 16, bytes.count)]
            let hexes = row.map { hex(Int($0), 2) }.joined(separator: " ")
            let text = String(decoding: row.map { (32..<127).contains($0) ? $0 : 46 }, as: UTF8.self)
            lines += "\(hex(start, 4))  \(hexes)\(String(repeating: " ", count: 47 - hexes.count))  |\(text)|\n"
        }
        return lines
    }

    private static func hex(_ value: Int, _ width: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
