import Daemon
import Foundation
import Testing

@Suite struct MappingFileTests {
    private func failure(_ text: String) -> String? {
        let sources = ConfigurationSources(flags: ["statsd-mapping": ["m.yaml"]], readFile: { _ in .text(text) })
        do throws(StartFailure) {
            _ = try sources.resolve()
            return nil
        } catch { return "\(error)" }
    }

    private func notes(_ text: String) throws -> [String] {
        try ConfigurationSources(flags: ["statsd-mapping": ["m.yaml"]], readFile: { _ in .text(text) }).resolve()
            .warnings
    }

    @Test("Files as they are written for the exporter are taken, and what differs is said")
    func imports() throws {
        let file = """
            defaults:
              observer_type: summary
              buckets: [.005, .01, 2.5]
              match_type: glob
              glob_disable_ordering: false
              ttl: 0
            mappings:
            - match: "test.dispatcher.*.*.*"
              name: "dispatcher_events_total"
              labels:
                processor: "$1"
                action: "${2}"
                job: "test_$3"
            - match: client\\.(\\w+)\\.timer
              match_type: regex
              match_metric_type: observer
              name: "client_${1}"
              observer_type: histogram
              histogram_options: {buckets: [0.01, 0.1, 1]}
              ttl: 10m
            - match: noise.*
              action: drop
              name: dropped
            relabel:
            - source_labels: [__name__]
              regex: 'a(.*)'
              target_label: b
            - action: labeldrop
              regex: pod_.*
            """
        #expect(failure(file) == nil)
        #expect(
            try notes(file) == ["m.yaml:2: summaries are kept as histograms"])
        #expect(failure("") == nil)
    }

    @Test(
        "Errors name file and line",
        arguments: [
            ("mappings:\n- name: x\n", "m.yaml:2: a mapping needs a match"),
            ("mappings:\n- match: a\n  name: x\n  ttl: 1s\n", "m.yaml:4: ttl must be at least 2s"),
            ("defaults: {ttl: soon}\n", "m.yaml:1: ttl must be a duration such as 10m"),
            ("mappings:\n- match: a.*\n  nmae: x\n", "m.yaml:3: unknown key 'nmae'; did you mean 'name'?"),
            (
                "mappings:\n- match: a.*\n  name: x_$2\n",
                "m.yaml:3: 'x_$2' names group 2, which the match does not have"
            ),
            (
                "mappings:\n- match: a*b\n  name: x\n",
                "m.yaml:2: in 'a*b' every part between dots must be a word or * alone"
            ),
            (
                "mappings:\n- match: (a\n  match_type: regex\n  name: x\n",
                "m.yaml:2: regular expression '(a': missing ')' at character 1"
            ),
            (
                "mappings:\n- match: a\n  name: x\n  buckets: [2, 1]\n",
                "m.yaml:4: buckets must be numbers in ascending order"
            ),
            (
                "relabel:\n- action: hashmod\n",
                "m.yaml:2: action must be one of replace, keep, drop, labelmap, labeldrop, labelkeep"
            ),
            ("relabel:\n- regex: a\n", "m.yaml:2: replace needs a target_label"),
            ("- a\n", "m.yaml:1: must be a mapping of keys to values"),
        ])
    func faults(text: String, message: String) { #expect(failure(text) == message) }

    @Test("The shipped mappings are good and are the files in schemas/mappings")
    func shipped() throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "schemas/mappings")
        for (name, text) in ShippedMappings.all {
            #expect(try String(contentsOf: folder.appending(path: name + ".yaml"), encoding: .utf8) == text + "\n")
            let resolved = try ConfigurationSources(flags: ["statsd-mapping": [name]]).resolve()
            #expect(resolved.yaml.contains("statsd-mapping: \(name)  # flag"))
            #expect(resolved.warnings.isEmpty)
        }
        let missing = ConfigurationSources(flags: ["statsd-mapping": ["nowhere.yaml"]])
        #expect(throws: StartFailure.self) { try missing.resolve() }
    }
}
