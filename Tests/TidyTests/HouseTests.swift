import Foundation
import Testing

@Suite("House rules")
struct HouseTests {
    @Test("No Swift file is longer than 600 lines")
    func fileLength() {
        for (path, text) in Tree.files("Sources", suffix: ".swift") + Tree.files("Tests", suffix: ".swift") {
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count <= 601, "\(path)")
        }
    }

    @Test("Nothing in Sources can trap by a force")
    func noForces() {
        let forbidden = ["try!", "as!", "fatalError(", "-Ounchecked", "precondition" + "Failure("]
        for (path, text) in Tree.files("Sources", suffix: ".swift") {
            for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
                let code = line.components(separatedBy: "//")[0]
                for word in forbidden where code.contains(word) {
                    Issue.record("\(path):\(number + 1): \(word)")
                }
            }
        }
    }

    @Test("No unfinished words and no path of a machine")
    func noLeftovers() {
        let words = ["TO" + "DO", "FIX" + "ME", "XX" + "X:", "/wo" + "rk/", "/ro" + "ot/"]
        let files = ["swift", "md", "py", "yml", "yaml", "json", "h", "c", "run", "quickstart"].flatMap { suffix in
            ["Sources", "Tests", "schemas", "dashboards"].flatMap { Tree.files($0, suffix: suffix) }
        }
        #expect(files.count > 50)
        for (path, text) in files {
            for word in words where text.contains(word) { Issue.record("\(path) holds \(word)") }
        }
    }

    @Test("Every folder that README files name exists, and every module is on the architecture page")
    func architecturePage() throws {
        let page = try String(contentsOf: Tree.root.appending(path: "Sources/README.md"), encoding: .utf8)
        for module in LayeringTests.bands.keys {
            #expect(page.contains(module), "Sources/README.md does not name \(module)")
        }
    }
}
