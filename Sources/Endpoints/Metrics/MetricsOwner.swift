internal import Synchronization
internal import Telemetry

/// Whose metrics a ``MetricsService`` has, and what it shares with the services of other tenants.
package struct MetricsOwner: Sendable {
    package let tenant: String
    /// What became of the tenant's own lines; nil for the default tenant, whose lines are those of the ledger that are
    /// nobody else's.
    let lines: LineOutcomes?
    /// What became of the lines of all tenants but the default one.
    let others: LineOutcomes
    let dialects: StatsDDialects
    let counters: LineCounters

    /// The default tenant.
    package init(dialect: StatsDDialect) {
        tenant = BatchOrigin.defaultTenant
        lines = nil
        others = LineOutcomes()
        dialects = StatsDDialects(dialect)
        counters = LineCounters()
    }

    private init(_ tenant: String, beside owner: MetricsOwner) {
        self.tenant = tenant
        lines = LineOutcomes()
        others = owner.others
        dialects = owner.dialects
        counters = owner.counters
    }

    /// Another tenant, whose lines are read in the same way and counted in the same ledger.
    package func other(_ tenant: String) -> MetricsOwner { MetricsOwner(tenant, beside: self) }

    var isDefault: Bool { lines == nil }

    /// Where a receiver counts besides the ledger.
    var outcomes: [LineOutcomes] { lines.map { [$0, others] } ?? [] }

    /// What became of the tenant's lines.
    func lineCounts(_ ledger: Ledger) -> LineOutcomes.Counts {
        if let lines { return lines.counts }
        // The others first: what a receiver counts is in the ledger before it is there.
        let others = others.counts
        return LineOutcomes.Counts(ledger).without(others)
    }
}

/// What became of some of the ledger's lines. Every number only grows.
final class LineOutcomes: Sendable {
    struct Counts: Hashable, Sendable {
        var seen: UInt64 = 0
        var applied: UInt64 = 0
        /// In the order of `LineRejection.allCases`.
        var rejected = Array(repeating: UInt64(0), count: LineRejection.allCases.count)
    }

    private let seen = Atomic<UInt64>(0)
    private let applied = Atomic<UInt64>(0)
    private let rejected = ReasonCounters<LineRejection>()

    func add(seen: UInt64, applied: UInt64) {
        self.seen.add(seen, ordering: .relaxed)
        self.applied.add(applied, ordering: .relaxed)
    }

    func add(rejected count: UInt64, _ reason: LineRejection) { rejected.add(count, reason) }

    var counts: Counts {
        Counts(
            seen: seen.load(ordering: .acquiring), applied: applied.load(ordering: .acquiring),
            rejected: rejected.counts.map(\.count))
    }
}

extension LineOutcomes.Counts {
    init(_ ledger: Ledger) {
        seen = ledger.linesSeen.load(ordering: .acquiring)
        applied = ledger.linesApplied.load(ordering: .acquiring)
        rejected = ledger.linesRejected.counts.map(\.count)
    }

    /// These less others that are among them, never below zero.
    func without(_ others: Self) -> Self {
        Self(
            seen: seen - min(seen, others.seen), applied: applied - min(applied, others.applied),
            rejected: zip(rejected, others.rejected).map { $0 - min($0, $1) })
    }
}
