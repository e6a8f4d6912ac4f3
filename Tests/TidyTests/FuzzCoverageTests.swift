import Foundation
import Testing

/// Every decoder and parser has a fuzz target, and every target inputs to start from in the tree.
@Suite("Fuzz targets")
struct FuzzCoverageTests {
    /// Functions and initialisers that take bytes or text of strangers, by how they are declared.
    private static let declarations = [
        #"package func (decode[A-Z]\w*|inflated|\w+Inflated|parse[A-Z]\w*)\("#,
        #"package (?:struct|enum) (\w*(?:Reader|Regex|Negotiation|Token|File|TraceParent|TranslationRule))\b"#,
        #"public (?:struct|enum) (TraceParent)\b"#,
    ]
    private static let folders = ["Bytes", "WireFormats", "QueryEngine", "CrestClient", "Telemetry/Access"]
    /// Read by others of these, not by strangers.
    private static let inner = ["ByteReader", "JSONReader", "AccessToken"]

    private let fuzz = Tree.files("Tests/Fuzz", suffix: ".swift").map(\.text).joined(separator: "\n")

    @Test("Every decoder and parser is named by a target")
    func complete() throws {
        var found = 0
        for folder in Self.folders {
            for (path, text) in Tree.files("Sources/\(folder)", suffix: ".swift") {
                for declaration in Self.declarations {
                    for match in text.matches(of: try Regex(declaration)) {
                        let name = String(try #require(match.output[1].substring))
                        found += 1
                        #expect(Self.inner.contains(name) || fuzz.contains(name), "\(path): \(name) has no fuzz target")
                    }
                }
            }
        }
        #expect(found > 25)
        for name in [
            "PromExpression(parsing:", "MappingRule(", "RelabelRule(", "ConfigurationSources(", "Router(context)",
        ] {
            #expect(fuzz.contains(name), "\(name)")
        }
    }

    @Test("Every target is run and has inputs in Tests/Corpus")
    func corpus() throws {
        let list = try #require(fuzz.range(of: "static let all: [FuzzTarget] = ["))
        let names = fuzz[list.upperBound...].prefix { $0 != "]" }.split(separator: "\n")
            .map { $0.filter { $0.isLetter || $0.isNumber } }.filter { !$0.isEmpty }
        let declared = fuzz.matches(of: try Regex(#"static let (\w+) = (?:FuzzTarget|spans)\("#)).compactMap {
            $0.output[1].substring.map(String.init)
        }
        #expect(Set(names) == Set(declared) && names.count > 30)
        let labels = fuzz.matches(of: try Regex(#"(?:name: |spans\(\s*)"([a-z0-9-]+)""#)).compactMap {
            $0.output[1].substring.map(String.init)
        }.filter { $0 != "canary" }
        #expect(labels.count == declared.count)
        for label in labels {
            let folder = Tree.root.appending(path: "Tests/Corpus/\(label)")
            let files = try? FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(files?.isEmpty == false, "Tests/Corpus/\(label)")
        }
    }
}
