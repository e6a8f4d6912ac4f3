// Mutates valid inputs and looks for traps and broken promises.
//
//     fuzz TARGET [--seed N] [--events N]      one target; prints the executions, exits 1 on a failure
//     fuzz smoke                               every target for a moment, and the canary that must fail
//     fuzz full [--seconds N]                  every target for a minute, and the canary
//     fuzz list                                the names of the targets

internal import Glibc

struct FuzzFailure {
    let input: [UInt8]
    let reason: String
    let execution: Int
}

/// Runs the seeds as they are, then `events` mutations; stops at the first failure.
func run(_ target: FuzzTarget, seed: UInt64, events: Int) -> FuzzFailure? {
    let corpus = target.seeds()
    for (index, input) in corpus.enumerated() {
        if let reason = target.check(input) { return FuzzFailure(input: input, reason: reason, execution: index) }
    }
    var mutator = Mutator(random: FuzzRandom(seed: seed), corpus: corpus)
    for index in 0..<events {
        let input = mutator.next()
        if let reason = target.check(input) { return FuzzFailure(input: input, reason: reason, execution: index) }
    }
    return nil
}

func report(_ target: FuzzTarget, seed: UInt64, events: Int) -> Bool {
    guard let failure = run(target, seed: seed, events: events) else {
        print("\(target.name): \(events) executions, seed \(seed), nothing found")
        return true
    }
    let hex = failure.input.map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }.joined()
    print("\(target.name): seed \(seed), execution \(failure.execution): \(failure.reason)\n\(hex)")
    return false
}

/// Rounds of 10,000 mutations, each with the next seed, until the time is over.
func report(_ target: FuzzTarget, seed: UInt64, seconds: Int) -> Bool {
    let end = time(nil) + seconds
    let round = 10_000
    var rounds: UInt64 = 0
    while time(nil) < end {
        if run(target, seed: seed + rounds, events: round) != nil {
            return report(target, seed: seed + rounds, events: round)
        }
        rounds += 1
    }
    print("\(target.name): \(rounds * UInt64(round)) executions, seeds \(seed)..<\(seed + rounds), nothing found")
    fflush(nil)
    return true
}

/// A target with a planted defect: the engine is blind if it does not find it.
func canaryIsFound(seed: UInt64) -> Bool {
    let canary = FuzzTarget(
        name: "canary", seeds: { [Array("abcdefgh".utf8)] },
        check: { input in input.count < 4 && input.contains(0xff) ? "planted" : nil })
    let failure = run(canary, seed: seed, events: 200_000)
    print(failure.map { "canary: found after \($0.execution) executions" } ?? "canary: NOT found")
    return failure != nil
}

func number(after flag: String, in arguments: [String]) -> UInt64? {
    guard let index = arguments.firstIndex(of: flag), index + 1 < arguments.count else { return nil }
    return UInt64(arguments[index + 1])
}

func fuzz(_ arguments: [String]) -> Int32 {
    let seed = number(after: "--seed", in: arguments) ?? 1
    switch arguments.first {
    case "smoke":
        var isFine = canaryIsFound(seed: seed)
        for target in FuzzTarget.all where !report(target, seed: seed, events: 3_000) { isFine = false }
        return isFine ? 0 : 1
    case "full":
        let seconds = Int(clamping: number(after: "--seconds", in: arguments) ?? 60)
        var isFine = canaryIsFound(seed: seed)
        for target in FuzzTarget.all where !report(target, seed: seed, seconds: seconds) { isFine = false }
        return isFine ? 0 : 1
    case "list":
        for target in FuzzTarget.all { print(target.name) }
        return 0
    case let name?:
        guard let target = FuzzTarget.all.first(where: { $0.name == name }) else {
            print("no target \(name); there are: \(FuzzTarget.all.map(\.name).joined(separator: " "))")
            return 2
        }
        let events = number(after: "--events", in: arguments) ?? 1_000_000
        return report(target, seed: seed, events: Int(clamping: events)) ? 0 : 1
    case nil:
        print("usage: fuzz TARGET [--seed N] [--events N] | fuzz smoke | fuzz full | fuzz list")
        return 2
    }
}

exit(fuzz(Array(CommandLine.arguments.dropFirst())))
