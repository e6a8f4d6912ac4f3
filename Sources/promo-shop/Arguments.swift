internal import ArgumentParser

/// A length of time on the command line: `10`, `10s`, `500ms`, `1m`, `1m30s`, `2h`.
struct DurationArgument: ExpressibleByArgument, CustomStringConvertible {
    let seconds: Double

    init(seconds: Double) { self.seconds = seconds }

    init?(argument: String) {
        if let plain = Double(argument) {
            self.init(checked: plain)
            return
        }
        let units = [("ms", 0.001), ("h", 3_600.0), ("m", 60.0), ("s", 1.0)]
        var rest = argument[...]
        var total = 0.0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isNumber || $0 == "." }
            rest = rest.dropFirst(number.count)
            guard let value = Double(number), let unit = units.first(where: { rest.hasPrefix($0.0) }) else {
                return nil
            }
            rest = rest.dropFirst(unit.0.count)
            total += value * unit.1
        }
        self.init(checked: total)
    }

    private init?(checked seconds: Double) {
        guard seconds.isFinite, seconds > 0, seconds <= 604_800 else { return nil }
        self.seconds = seconds
    }

    var description: String { seconds == seconds.rounded() ? "\(Int(seconds))s" : "\(seconds)s" }
}

/// How many times the ordinary rate the peak is: `50x` or `50`.
struct PeakArgument: ExpressibleByArgument, CustomStringConvertible {
    let factor: Double

    init(factor: Double) { self.factor = factor }

    init?(argument: String) {
        let number = argument.hasSuffix("x") ? String(argument.dropLast()) : argument
        guard let factor = Double(number), factor.isFinite, factor >= 1, factor <= 10_000 else { return nil }
        self.factor = factor
    }

    var description: String { factor == factor.rounded() ? "\(Int(factor))x" : "\(factor)x" }
}
