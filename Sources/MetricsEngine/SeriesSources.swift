internal import Telemetry

/// How many series each source has: who is responsible for them, by a label that names the sender.
///
/// The address of a datagram says little (a proxy, a container that was replaced), the label is what an operator
/// looks for. Series without such a label have no source and are bound by the other limits alone. Sources beyond
/// ``Limits/metricSources`` are counted together.
struct SeriesSources {
    struct State: Sendable {
        var series = 0
        var refused: UInt64 = 0
        var growth = MinuteCount()
    }

    /// Stands for all sources that have no place of their own.
    static let others = Array("(others)".utf8)

    private let labels: [[UInt8]]
    private(set) var states: [[UInt8]: State] = [:]

    /// - Parameter labels: label names; the first one that a series has names its source.
    init(labels: [String]) {
        self.labels = LabelText.forms(of: labels)
    }

    /// The key of a series' source; nil when it has none.
    func key(of text: [UInt8]) -> [UInt8]? {
        guard let value = LabelText.value(ofFirst: labels, in: text) else { return nil }
        if states[value] != nil || states.count < Limits.metricSources { return value }
        return Self.others
    }

    func series(of key: [UInt8]) -> Int { states[key]?.series ?? 0 }

    mutating func add(_ key: [UInt8], second: Int64) {
        states[key, default: State()].series += 1
        states[key, default: State()].growth.add(second: second)
    }

    mutating func refuse(_ key: [UInt8]) {
        states[states[key] == nil ? Self.others : key, default: State()].refused += 1
    }

    /// Takes a removed series from its source; a source without series is forgotten.
    mutating func remove(_ text: [UInt8]) {
        guard let value = LabelText.value(ofFirst: labels, in: text) else { return }
        let key = states[value] == nil ? Self.others : value
        guard let left = states[key].map({ $0.series - 1 }) else { return }
        if left <= 0 { states[key] = nil } else { states[key]?.series = left }
    }
}
