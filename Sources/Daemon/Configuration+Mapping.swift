internal import Endpoints
internal import Telemetry
internal import WireFormats

extension Configuration {
    /// The rules of all mapping files, and what is done differently than they may expect.
    /// - Throws: with file and line, when a file is wrong.
    func mappingRules() throws(StartFailure) -> (rules: MappingRules, notes: [String]) {
        var rules = MappingRules()
        var notes: [String] = []
        for (path, text) in zip(statsDMappings, statsDMappingTexts) {
            let file = try MappingFile(text, path: path)
            rules.add(file.mappings)
            rules.relabelling += file.relabelling
            notes += file.notes
            guard rules.mappings.count + rules.relabelling.count <= Limits.mappingRules else {
                throw StartFailure(.configuration, "\(path): there are more than \(Limits.mappingRules) rules")
            }
        }
        return (rules, notes)
    }

    func statsDDialect() throws(StartFailure) -> StatsDDialect {
        StatsDDialect(profile: statsDProfile, gaugeSign: gaugeSign, rules: try mappingRules().rules)
    }
}
