internal import ArgumentParser

struct Overload: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Offers up to a hundred times the capacity: goodput, memory, classes, tenants, recovery, abuse.",
        discussion: """
            crestd is held to a share of the last core by a control group of its own, else by SIGSTOP and SIGCONT; the
            report says by which. An open-loop sender on the first core replays promo-shop's bodies with trace ids of
            their own. Latencies count from the moment at which a request was due; a request that is due while every
            connection has one under way is dropped by the client.

              E1 goodput  E2 memory  E3 classes  E4 whole traces  E5 tenants  E6 recovery  E7 abuse  E8 datagrams
            """)

    @Option(help: "Experiments, with commas: E1,E2... or all.") var experiment = "all"
    @Option(help: "Seconds of each step.") var stepSeconds = 5.0
    @Option(help: "Percent of one core that the daemon gets; default: 20% in E1 to E4, E6 and E8, 100% in E5 and E7.")
    var quota: String?
    @Option(help: "Connections of the sender; more than 48 come from several loopback addresses.") var connections = 256
    @Option(help: "Spans of a request, at least; each holds those of one service.") var batchSpans = 256
    @Option(help: "Seed of the shop.") var seed = 42

    func run() throws {
        let names =
            experiment == "all"
            ? Experiment.allCases.map(\.rawValue) : experiment.split(separator: ",").map(String.init)
        let experiments = names.compactMap { Experiment(rawValue: $0.uppercased()) }
        guard experiments.count == names.count else {
            throw ValidationError("--experiment must be all or some of E1 to E8, with commas")
        }
        let percent = try quota.map { text in
            let percent = Double(text.hasSuffix("%") ? String(text.dropLast()) : text)
            guard let percent, (1...100).contains(percent) else {
                throw ValidationError("--quota must be from 1% to 100%")
            }
            return percent
        }
        let settings = OverloadSettings(
            experiments: Set(experiments), stepSeconds: max(0.2, stepSeconds), share: (percent ?? 20) / 100,
            wholeShare: (percent ?? 100) / 100, connections: max(1, connections), batchSpans: max(1, batchSpans),
            seed: seed)
        guard try runOverload(settings) else { throw ExitCode(1) }
    }
}
