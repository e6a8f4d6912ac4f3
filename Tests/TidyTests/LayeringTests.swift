import Foundation
import Testing

/// The repository as text: what the compiler does not check.
enum Tree {
    static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    /// Tracked text files under `folder` with this suffix, as (path from the root, text).
    static func files(_ folder: String, suffix: String) -> [(path: String, text: String)] {
        let start = root.appending(path: folder)
        guard let walk = FileManager.default.enumerator(at: start, includingPropertiesForKeys: nil) else { return [] }
        var found: [(path: String, text: String)] = []
        for case let file as URL in walk where file.path.hasSuffix(suffix) {
            guard let text = try? String(contentsOf: file, encoding: .utf8) else { continue }
            found.append((String(file.path.dropFirst(root.path.count + 1)), text))
        }
        return found
    }
}

@Suite("Layering")
struct LayeringTests {
    /// Bands of Sources/README.md: a module may import lower bands only.
    static let bands: [String: Int] = [
        "CZstd": 0, "CZlib": 0, "CLinux": 0, "Bytes": 0, "Telemetry": 1, "WireFormats": 2,
        "MetricsEngine": 3, "SpanPipeline": 3, "SegmentStore": 3, "QueryEngine": 3,
        "Endpoints": 4, "CrestClient": 4, "Listeners": 5, "HostIO": 5, "Daemon": 6,
        "crestd": 7, "crest": 7, "promo-shop": 7, "bench": 7,
    ]

    @Test("Imports only go down the bands; only Bytes sees the C libraries of its band")
    func importsGoDown() {
        var checked = 0
        for (path, text) in Tree.files("Sources", suffix: ".swift") {
            let module = String(path.split(separator: "/")[1])
            guard let band = Self.bands[module] else {
                Issue.record("\(path): module \(module) has no band")
                continue
            }
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard let index = words.firstIndex(of: "import"), index <= 1, index + 1 < words.count else { continue }
                let imported = String(words[index + 1])
                guard let other = Self.bands[imported] else { continue }
                checked += 1
                let shims = module == "Bytes" && other == 0
                #expect(other < band || shims, "\(path) imports \(imported), which is not below it")
                #expect(imported != "CZstd" || module == "Bytes", "\(path): Bytes alone imports CZstd")
            }
        }
        #expect(checked > 20)
    }

    @Test("Only Listeners and Daemon import NIO")
    func nioStaysOutside() {
        for (path, text) in Tree.files("Sources", suffix: ".swift") where text.contains("import NIO") {
            let module = path.split(separator: "/")[1]
            #expect(["Listeners", "Daemon", "CrestClient", "crest"].contains(module), "\(path)")
        }
    }
}
