import Foundation
import Testing

/// Tables of what must hold with the tests that prove it.
@Suite("Tables of faults and attacks")
struct FaultTableTests {
    struct Table: Sendable {
        var file: String
        var letter: String
        var count: Int

        var rows: [Substring] {
            let page = try? String(contentsOf: Tree.root.appending(path: "Tests/\(file)"), encoding: .utf8)
            return (page ?? "").split(separator: "\n").filter { $0.hasPrefix("| \(letter)") && !$0.hasPrefix("| row") }
        }
    }

    static let tables = [
        Table(file: "FAULTS.md", letter: "F", count: 31), Table(file: "SECURITY.md", letter: "S", count: 36),
    ]

    @Test("All rows are there, each with a test or the reason why not", arguments: tables)
    func complete(table: Table) {
        #expect(table.rows.count == table.count)
        for (index, row) in table.rows.enumerated() {
            let number = index + 1
            #expect(row.hasPrefix("| \(table.letter)\(number < 10 ? "0" : "")\(number) |"))
            #expect(row.contains("`") || row.contains("n/a until"), "\(row)")
        }
    }

    @Test("Every named test exists", arguments: tables)
    func named(table: Table) {
        let swift = Tree.files("Tests", suffix: ".swift").map(\.text)
        let python = Dictionary(
            uniqueKeysWithValues: Tree.files("Tests/PeerTests", suffix: ".py").map {
                (URL(filePath: $0.path).lastPathComponent, $0.text)
            })
        for row in table.rows {
            let proof = row.split(separator: "|").last ?? ""
            let names = proof.split(separator: "`", omittingEmptySubsequences: false).enumerated()
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
