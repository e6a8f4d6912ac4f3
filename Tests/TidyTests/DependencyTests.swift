import Foundation
import Testing

/// What is known to be broken is not built in.
@Suite("Dependencies")
struct DependencyTests {
    private struct Resolved: Decodable {
        struct Pin: Decodable {
            struct State: Decodable {
                var revision: String
                var version: String?
            }
            var identity: String
            var state: State
        }
        var pins: [Pin]
    }

    /// Below these are published weaknesses, or fixes that Crest's limits stand on: HTTP/2 floods are bounded from
    /// swift-nio-http2 1.44.1 on, header lists from swift-nio 2.100.0 on.
    private static let least = [
        "swift-nio": [2, 101, 0], "swift-nio-http2": [1, 44, 1], "swift-nio-ssl": [2, 37, 0],
        "async-http-client": [1, 37, 0], "yams": [6, 2, 0], "swift-crypto": [4, 0, 0],
    ]

    private func pins() throws -> [String: String] {
        let data = try Data(contentsOf: Tree.root.appending(path: "Package.resolved"))
        let resolved = try JSONDecoder().decode(Resolved.self, from: data)
        #expect(resolved.pins.allSatisfy { $0.state.revision.count == 40 })
        return Dictionary(
            uniqueKeysWithValues: resolved.pins.compactMap { pin in pin.state.version.map { (pin.identity, $0) } })
    }

    @Test("Everything is pinned to a version, and to none with a known weakness")
    func versions() throws {
        let pins = try pins()
        for (identity, least) in Self.least {
            let version = try #require(pins[identity], "\(identity) is not pinned").split(separator: ".").map {
                Int($0) ?? 0
            }
            #expect(!version.lexicographicallyPrecedes(least), "\(identity) \(version), at least \(least)")
        }
        let manifest = try String(contentsOf: Tree.root.appending(path: "Package.swift"), encoding: .utf8)
        for line in manifest.split(separator: "\n") where line.contains(".package(url:") {
            let name = try #require(line.split(separator: "\"").dropFirst().first?.split(separator: "/").last)
            #expect(pins[name.lowercased()] != nil, "\(name) is not pinned")
            #expect(!line.contains("branch:") && !line.contains("revision:") && line.contains("from:"), "\(line)")
        }
    }

    @Test("The build needs a compiler of at least 6.2, so that spans and typed throws are checked")
    func compiler() throws {
        let manifest = try String(contentsOf: Tree.root.appending(path: "Package.swift"), encoding: .utf8)
        #expect(manifest.hasPrefix("// swift-tools-version: 6.2\n"))
    }
}
