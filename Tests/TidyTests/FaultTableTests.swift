import Foundation
import Testing

@Suite("Table of faults")
struct FaultTableTests {
    private static let rows: [Substring] = {
        guard let page = try? String(contentsOf: Tree.root.appending(path: "Tests/FAULTS.md"), encoding: .utf8) else {
            return []
        }
        return page.split(separator: "\n").filter { $0.hasPrefix("| F") }
    }()

    @Test("F01 to F31 are there, each with a test or the reason why not")
    func complete() {
        #expect(Self.rows.count == 31)
        for (index, row) in Self.rows.enumerated() {
            let number = index + 1
            #expect(row.hasPrefix(number < 10 ? "| F0\(number) |" : "| F\(number) |"))
            #expect(row.contains("`") || row.contains("n/a until"), "\(row)")
        }
    }

    @Test("Every named test exists")
    func named() {
        let swift = Tree.files("Tests", suffix: ".swift").map(\.text)
        let python = Dictionary(
            uniqueKeysWithValues: Tree.files("Tests/PeerTests", suffix: ".py").map {
                (URL(filePath: $0.path).lastPathComponent, $0.text)
            })
        for row in Self.rows {
            let names = row.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            for name in names {
                if let split = name.range(of: "::") {
                    let text = python[String(name[..<split.lowerBound])] ?? ""
                    #expect(text.contains("def \(name[split.upperBound...])("), "\(name)")
                } else {
                    let parts = name.split(separator: "/")
                    let holder = swift.first { text in
                        parts.count == 2 && text.contains("struct \(parts[0]) ") && text.contains("func \(parts[1])(")
                    }
                    #expect(holder != nil, "\(name)")
                }
            }
        }
    }
}
