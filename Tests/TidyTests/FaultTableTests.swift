import Foundation
import Testing

/// Tables of what must hold with the tests that prove it.
@Suite("Tables of faults and attacks")
struct FaultTableTests {
    struct Table: Sendable {
        var file: String
        var letter: String
        /// The rows that must be there; what is not in the table is of later versions.
        var numbers: [Int]

        var rows: [Substring] {
            let page = try? String(contentsOf: Tree.root.appending(path: "Tests/\(file)"), encoding: .utf8)
            return (page ?? "").split(separator: "\n").filter { $0.hasPrefix("| \(letter)") && !$0.hasPrefix("| row") }
        }
    }

    static let tables = [
        Table(file: "FAULTS.md", letter: "F", numbers: Array(1...63) + [70]),
        Table(file: "SECURITY.md", letter: "S", numbers: Array(1...36)),
    ]

    @Test("All rows are there, each with a test or the reason why not", arguments: tables)
    func complete(table: Table) {
        let numbers = table.rows.compactMap { Int($0.dropFirst(3).prefix { $0.isNumber }) }
        #expect(numbers.count == table.rows.count && numbers == Set(numbers).sorted(), "each once, in their order")
        #expect(Set(numbers).isSuperset(of: table.numbers))
        for row in table.rows {
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
