internal import Telemetry

/// Undoes what Micrometer's StatsD registry does to names and tags because the plain protocol has no place for it.
///
/// Source: schemas/wire/statsd.md, "Micrometer".
struct MicrometerProfile {
    private let profile: StatsDProfile

    init(_ profile: StatsDProfile) { self.profile = profile }

    /// What a statistic of a gauge or counter adds to its name. `count` on counters and `value` on gauges add nothing.
    private static let suffixes = ["active", "duration", "max", "total", "unknown"]

    /// Changes an identity and says in words what was done.
    func undo(_ identity: inout MetricIdentity) -> [String] {
        guard profile != .plain else { return [] }
        var changes: [String] = []
        if identity.labels.contains(where: { $0.key.starts(with: "dd.internal.".utf8) }) {
            identity.labels.removeAll { $0.key.starts(with: "dd.internal.".utf8) }
            changes.append("tags dd.internal.* say where a process runs, not what it measured")
        }
        moveStatisticOfName(&identity)
        if let change = undoStatistic(&identity) { changes.append(change) }
        if let change = undoBuckets(&identity) ?? undoPercentile(&identity) ?? undoDistribution(&identity) {
            changes.append(change)
        }
        return changes
    }

    /// The Etsy flavour has its tags in the name; only this one can be told from the rest with certainty.
    private func moveStatisticOfName(_ identity: inout MetricIdentity) {
        guard identity.kind == .counter || identity.kind == .gauge else { return }
        var parts = identity.name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false).map(Array.init)
        let mark = Array("statistic".utf8)
        guard let place = parts.firstIndex(of: mark), place > 0, place + 1 < parts.count,
            parts[place + 1].elementsEqual(ownStatistic(identity.kind).utf8)
                || Self.suffixes.contains(String(decoding: parts[place + 1], as: UTF8.self))
        else { return }
        identity.labels.append(MetricLabel(key: mark, value: parts[place + 1]))
        parts.removeSubrange(place...(place + 1))
        identity.name = Array(parts.joined(separator: ".".utf8))
    }

    private func ownStatistic(_ kind: MetricKind) -> String { kind == .counter ? "count" : "value" }

    private func undoStatistic(_ identity: inout MetricIdentity) -> String? {
        guard identity.kind == .counter || identity.kind == .gauge, let value = identity["statistic"] else {
            return nil
        }
        let text = String(decoding: value, as: UTF8.self)
        if text == ownStatistic(identity.kind) {
            identity.remove("statistic")
            return "tag statistic:\(text) says what the type says"
        }
        guard Self.suffixes.contains(text) else { return nil }
        identity.remove("statistic")
        let isTime = text == "duration" || text == "max" && isTimer(identity.name)
        append(text, to: &identity.name)
        if isTime, identity.kind == .gauge {
            append("seconds", to: &identity.name)
            identity.scale = 0.001
            return "tag statistic:\(text) is part of the name; its values are milliseconds"
        }
        return "tag statistic:\(text) is part of the name"
    }

    /// Gauges `x.histogram{le}` are a rolling window, so they must not look like cumulative buckets.
    private func undoBuckets(_ identity: inout MetricIdentity) -> String? {
        guard identity.kind == .gauge, let bound = identity["le"],
            let base = without("histogram", identity.name)
        else { return nil }
        identity.name = base
        append("slo", to: &identity.name)
        var text = bound
        if isTimer(base) {
            append("seconds", to: &identity.name)
            if let value = Double(String(decoding: bound, as: UTF8.self)), value.isFinite {
                text = Array("\(value / 1_000)".utf8)
            }
        }
        identity.set(Array("le".utf8), text)
        return "buckets of a rolling window are gauges"
    }

    private func undoPercentile(_ identity: inout MetricIdentity) -> String? {
        guard identity.kind == .gauge, let phi = identity["phi"],
            let base = without("percentile", identity.name)
        else { return nil }
        identity.remove("phi")
        identity.set(Array("quantile".utf8), phi)
        if isTimer(base) {
            append("seconds", to: &identity.name)
            identity.scale = 0.001
        }
        return "tag phi is the label quantile"
    }

    /// Timers with a histogram are sent as `|d`, still in milliseconds.
    private func undoDistribution(_ identity: inout MetricIdentity) -> String? {
        guard identity.kind == .distribution || identity.kind == .histogram, isTimer(identity.name) else { return nil }
        identity.kind = .timer
        identity.scale = 0.001
        return "a timer's histogram is sent in milliseconds"
    }

    /// Joined as the name itself is.
    private func append(_ word: String, to name: inout [UInt8]) {
        name.append(name.contains(UInt8(ascii: ".")) ? UInt8(ascii: ".") : UInt8(ascii: "_"))
        name += Array(word.utf8)
    }

    /// The name before `.word` or `_word`; nil when it does not end so.
    private func without(_ word: String, _ name: [UInt8]) -> [UInt8]? {
        let tail = Array(word.utf8)
        guard name.count > tail.count + 1, name.suffix(tail.count).elementsEqual(tail) else { return nil }
        let joint = name[name.count - tail.count - 1]
        guard joint == UInt8(ascii: ".") || joint == UInt8(ascii: "_") else { return nil }
        return Array(name.dropLast(tail.count + 1))
    }

    /// Timers of Spring Boot, its libraries and the JVM, and names that say that they are a time.
    private func isTimer(_ name: [UInt8]) -> Bool {
        guard profile == .micrometer else { return false }
        let text = String(decoding: name.map { $0 == UInt8(ascii: "_") ? UInt8(ascii: ".") : $0 }, as: UTF8.self)
        return Self.timers.contains(text) || Self.timerTails.contains { text.hasSuffix($0) }
    }

    private static let timerTails = [".duration", ".latency", ".time", ".timer", ".seconds"]
    private static let timers: Set<String> = [
        "http.server.requests", "http.client.requests", "jvm.gc.pause", "executor", "executor.idle",
        "hikaricp.connections.acquire", "hikaricp.connections.creation", "hikaricp.connections.usage",
        "spring.data.repository.invocations", "spring.security.filterchains", "spring.integration.send",
        "tasks.scheduled.execution", "spring.kafka.listener", "spring.kafka.template", "spring.rabbit.listener",
        "spring.rabbit.template", "lettuce.command.completion", "lettuce.command.firstresponse", "cache.gets.latency",
        "resilience4j.circuitbreaker.calls", "mongodb.driver.commands", "grpc.server", "grpc.client",
    ]
}
