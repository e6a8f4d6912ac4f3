internal import Daemon

/// Files that an operator writes: any text gives a configuration or an error that names its line, and what is printed
/// gives the same configuration again.
extension FuzzTarget {
    static let configuration = FuzzTarget(
        name: "configuration",
        seeds: {
            [
                "http: 127.0.0.1:0\nstatsd: [127.0.0.1:1, 'unixgram:/tmp/x', tcp:[::1]:2]\nretention-age: 7d12h\n",
                "{memory-limit: 1GiB, durability: interval, allow-host: [a.example, b], log-format: json}",
                "retention-bytes: 80%\nseries-limit: 5\nsource-labels: a,b # why\n---\n...\n", "a: &x [*x]\n<<: *x\n",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            guard let first = resolved(text) else { return nil }
            guard let second = resolved(first.yaml) else { return "what is printed is refused" }
            return second.configuration == first.configuration ? nil : "what is printed is another configuration"
        })

    static let mappingFile = FuzzTarget(
        name: "mapping-file",
        seeds: {
            [
                "defaults:\n  glob_disable_ordering: false\nmappings:\n- match: 'shop.*.orders'\n  name: orders\n"
                    + "  labels: {shop: $1}\n- match: ^x(.*)\n  match_type: regex\n  name: $1\n  action: drop\n",
                "mappings: [{match: a, name: b, observer_type: histogram, histogram_options: {buckets: [1, 2.5]}}]\n"
                    + "relabel:\n- {source_labels: [a], regex: (.*), target_label: b, replacement: $1, action: replace}\n",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let sources = ConfigurationSources(flags: ["statsd-mapping": ["m"]], readFile: { _ in .text(text) })
            do throws(StartFailure) { _ = try sources.resolve() } catch {
                return error.description.hasPrefix("m:") ? nil : "no place: \(error.description)"
            }
            return nil
        })

    private static func resolved(_ text: String) -> ResolvedConfiguration? {
        // Settings that name files find none.
        let sources = ConfigurationSources(configPath: "c") { $0 == "c" ? .text(text) : .failure("no such file") }
        return try? sources.resolve()
    }
}
