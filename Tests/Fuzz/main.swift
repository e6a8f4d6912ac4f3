// Mutates valid inputs and looks for traps, hangs and broken promises.
//
//     fuzz all [--seconds N] [--jobs N]        every target for N seconds (6), N at a time (2), and the canary
//     fuzz TARGET [--seconds N | --events N]   one target; prints the executions, exits 1 on a failure
//     fuzz TARGET --input HEX                  one input, as a failure printed it
//     fuzz list                                the names of the targets
//     fuzz export                              writes the inputs that code makes into the corpus
//
// With each: --seed N (1), --corpus FOLDER (Tests/Corpus).

internal import Glibc

struct FuzzFailure {
    let input: [UInt8]
    let reason: String
    let execution: Int
}

func attempt(_ target: FuzzTarget, _ input: [UInt8]) -> String? {
    Watch.note(input)
    return target.check(input)
}

/// The inputs as they are, then `events` mutations; stops at the first failure.
func run(_ target: FuzzTarget, _ inputs: [[UInt8]], seed: UInt64, events: Int) -> FuzzFailure? {
    for (index, input) in inputs.enumerated() {
        if let reason = attempt(target, input) { return FuzzFailure(input: input, reason: reason, execution: index) }
    }
    var mutator = Mutator(random: FuzzRandom(seed: seed), corpus: inputs)
    for index in 0..<events {
        let input = mutator.next()
        if let reason = attempt(target, input) { return FuzzFailure(input: input, reason: reason, execution: index) }
    }
    return nil
}

func report(_ target: FuzzTarget, _ failure: FuzzFailure, seed: UInt64) {
    print("\(target.name): seed \(seed), execution \(failure.execution): \(failure.reason)\n\(hex(failure.input))")
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
}

/// Rounds of mutations, each with the next seed, until the time is over or as many as asked are done.
func fuzz(_ target: FuzzTarget, _ options: Options) -> Bool {
    Watch.begin()
    let made = target.seeds()
    let inputs = made + options.corpus.inputs(of: target.name).filter { !made.contains($0) }
    let end = options.seconds.map { time(nil) + $0 } ?? .max
    var (seed, done) = (options.seed, 0)
    while time(nil) < end, options.events.map({ done < $0 }) ?? true {
        let round = min(2_000, options.events.map { $0 - done } ?? .max)
        if let failure = run(target, inputs, seed: seed, events: round) {
            report(target, failure, seed: seed)
            return false
        }
        (seed, done) = (seed + 1, done + round)
    }
    print(
        "\(target.name): \(done) executions from \(inputs.count) inputs, seeds \(options.seed)..<\(seed), nothing found"
    )
    fflush(nil)
    return true
}

/// A target with a planted defect: the engine is blind if it does not find it.
func canaryIsFound(seed: UInt64) -> Bool {
    let canary = FuzzTarget(
        name: "canary", seeds: { [Array("abcdefgh".utf8)] },
        check: { input in input.count < 4 && input.contains(0xff) ? "planted" : nil })
    let failure = run(canary, canary.seeds(), seed: seed, events: 200_000)
    print(failure.map { "canary: found after \($0.execution) executions" } ?? "canary: NOT found")
    fflush(nil)
    return failure != nil
}

func fuzzAll(_ options: Options) -> Bool {
    let program = CommandLine.arguments[0]
    let jobs = Jobs(count: options.jobs) { target in
        [program, target.name, "--seed", "\(options.seed)", "--corpus", options.corpus.folder]
            + (options.events.map { ["--events", "\($0)"] } ?? ["--seconds", "\(options.seconds ?? 6)"])
    }
    let isSighted = canaryIsFound(seed: options.seed)
    let failed = jobs.run(FuzzTarget.all)
    print("fuzz: \(FuzzTarget.all.count) targets, \(failed.count) failed \(failed.sorted().joined(separator: " "))")
    return failed.isEmpty && isSighted
}

func main(_ arguments: [String]) -> Int32 {
    guard let options = Options(arguments.dropFirst()) else {
        print("usage: fuzz all|TARGET|list|export [--seconds N] [--events N] [--jobs N] [--seed N] [--corpus FOLDER]")
        return 2
    }
    switch arguments.first {
    case "all": return fuzzAll(options) ? 0 : 1
    case "list":
        for target in FuzzTarget.all { print(target.name) }
        return 0
    case "export": return FuzzTarget.all.allSatisfy { options.corpus.export($0) } ? 0 : 1
    case let name:
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            print("no target \(name ?? ""); there are: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
            return 2
        }
        guard let input = options.input else { return fuzz(target, options) ? 0 : 1 }
        guard let reason = attempt(target, input) else { return 0 }
        print("\(name ?? ""): \(reason)")
        return 1
    }
}

exit(main(Array(CommandLine.arguments.dropFirst())))
