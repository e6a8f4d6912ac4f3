internal import Glibc

/// E5: ten tenants, one of which sends a hundred times what it should: five times the capacity, for which no small share
/// of a core is needed.
extension OverloadBench {
    private static let tenants = 10

    func tenants() throws -> Bool {
        let folder = try temporaryFolder()
        defer { removeFolder(folder) }
        let file = folder + "/tokens"
        func token(_ name: String, _ tenant: String) throws -> String {
            let arguments = ["token", "new", "--name", name, "--scopes", "ingest,query,scrape", "--tenant", tenant]
            let text = try programOutput("crest", arguments + ["--add-to", file])
            return text.split(whereSeparator: \.isWhitespace).first { $0.hasPrefix("crst_") }.map(String.init) ?? ""
        }
        let tokens = try (0..<Self.tenants).map { try token("sender\($0)", "tenant\($0)") }
        let daemon = try HeldDaemon(share: settings.wholeShare, flags: ["--tokens-file", file])
        defer { daemon.stop() }
        let measured = RequestTemplates(bodies, token: tokens[0], salt: 99)
        let capacity = try capacity(daemon, measured, seconds: settings.stepSeconds)
        // Together half of the capacity; the first has as many connections as all others.
        let own = capacity / 2 / Double(Self.tenants)
        let sources = tokens.enumerated().map { index, token in
            let connections = index == 0 ? settings.connections / 2 : max(4, settings.connections / 2 / Self.tenants)
            let templates = RequestTemplates(bodies, token: token, salt: UInt64(index) + 1)
            return LoadSource(templates: templates, connections: connections)
        }
        let load = try LoadGenerator(port: daemon.port("otlp-http"), sources: sources)
        defer { load.close() }
        try load.connect()
        func run(_ first: Double) -> [LoadOutcome] {
            let rates = [first] + [Double](repeating: own, count: Self.tenants - 1)
            return load.run([LoadGenerator.Phase(seconds: settings.stepSeconds, rates: rates)])
        }
        let quiet = run(own)
        let loud = run(own * 100)
        return report(quiet, loud, daemon)
    }

    private func report(_ quiet: [LoadOutcome], _ loud: [LoadOutcome], _ daemon: HeldDaemon) -> Bool {
        let shares = zip(quiet, loud).dropFirst().map { before, after in
            before.acceptedSpans > 0 ? Double(after.acceptedSpans) / Double(before.acceptedSpans) : 0
        }
        let jain = jainIndex(shares)
        let before = percentile(quiet.dropFirst().flatMap(\.milliseconds), 0.99)
        let after = percentile(loud.dropFirst().flatMap(\.milliseconds), 0.99)
        let offered = loud.dropFirst().reduce(0) { $0 + $1.offered }
        let accepted = loud.dropFirst().reduce(0) { $0 + $1.accepted }
        var report = report(.tenants, "ten tenants, one sends a hundred times as much", daemon)
        report.add("others_jain_index", jain)
        report.add("others_jain_limit", 0.95)
        report.add("others_offered", offered)
        report.add("others_accepted", accepted)
        report.add("others_refused", loud.dropFirst().reduce(0) { $0 + $1.busy + $1.quota })
        report.add("others_unsent", loud.dropFirst().reduce(0) { $0 + $1.unsent })
        report.add("others_p99_ms_before", before)
        report.add("others_p99_ms", after)
        report.add("others_p99_limit_ms", before * 1.2)
        report.add("loud_goodput_spans_per_second", loud[0].goodput)
        report.add("loud_refused", loud[0].busy + loud[0].quota)
        report.add("others_goodput_of_before", shares)
        report.add("pass", jain >= 0.95 && after <= before * 1.2)
        report.print()
        return jain >= 0.95 && after <= before * 1.2
    }
}

/// One when all have the same, 1/n when one has all.
func jainIndex(_ values: [Double]) -> Double {
    let sum = values.reduce(0, +)
    let squares = values.reduce(0) { $0 + $1 * $1 }
    return squares > 0 ? sum * sum / (Double(values.count) * squares) : 0
}
