internal import Synchronization
internal import Telemetry
package import WireFormats

/// Follows the sources of Crest datagrams by what they count, so that what never came is known to the item.
///
/// A source's life is known by its id and epoch. At most ``Limits/datagramSources`` lives are remembered, in two
/// generations: when the younger one is full, the older one is forgotten. A life that began after this process, and
/// after the last time that any was forgotten, is accounted for from its beginning; another one from the first datagram
/// on that came. Source: schemas/wire/crest-datagram.md, "Accounting".
package final class DatagramSources: Sendable {
    private struct Key: Hashable {
        var source: UInt64
        var epoch: UInt64
    }

    private struct State {
        var young: [Key: DatagramLife] = [:]
        var old: [Key: DatagramLife] = [:]
        var total = DatagramAccount()
        /// Lives with an earlier epoch may have been seen before.
        var horizon: UInt64
    }

    private let state: Mutex<State>
    private let generationLimit: Int

    /// - Parameter start: unix nanoseconds from which on this process receives.
    package init(since start: UInt64, limit: Int = Limits.datagramSources) {
        state = Mutex(State(horizon: start))
        generationLimit = max(limit / 2, 1)
    }

    /// Accounts for a datagram.
    /// - Returns: whether its payload may be taken; if not, the reason is counted.
    package func take(_ head: CrestDatagramHead, now: UInt64) -> Bool {
        state.withLock { state in
            let key = Key(source: head.source, epoch: head.epoch)
            let known = state.young[key] ?? state.old[key]
            let isWhole = head.epoch >= state.horizon
            let life = known ?? DatagramLife(head, isWhole: isWhole)
            if let reason = life.take(head, now: now, in: &state.total) {
                state.total.reject(reason)
                return false
            }
            if known == nil, !isWhole { state.total.joined &+= 1 }
            if state.young[key] == nil {
                state.young[key] = life
                state.old[key] = nil
                if state.young.count >= generationLimit { Self.forget(&state, now) }
            }
            return true
        }
    }

    private static func forget(_ state: inout State, _ now: UInt64) {
        if !state.old.isEmpty { state.horizon = max(state.horizon, now) }
        state.total.forgotten &+= UInt64(state.old.count)
        state.old = state.young
        state.young = [:]
    }

    package func reject(_ reason: CrestDatagramRejection) { state.withLock { $0.total.reject(reason) } }

    func noteMiscount() { state.withLock { $0.total.miscounted &+= 1 } }

    /// Of all sources, the forgotten ones too; its terms belong to one moment.
    package var account: DatagramAccount { state.withLock { $0.total } }

    /// Lives remembered.
    package var count: Int { state.withLock { $0.young.count + $0.old.count } }

    /// The sources heard last, newest first.
    package func newest(_ limit: Int) -> [DatagramSource] {
        let all = state.withLock { state in
            [state.young, state.old].flatMap { lives in
                lives.map { key, life in
                    DatagramSource(
                        source: key.source, epoch: key.epoch, sequence: life.sequence, heard: life.heard,
                        account: life.account)
                }
            }
        }
        return Array(all.sorted { ($0.heard, $0.source) > ($1.heard, $1.source) }.prefix(limit))
    }
}

/// One life of a source and its account.
package struct DatagramSource: Hashable, Sendable {
    package var source: UInt64
    package var epoch: UInt64
    /// Of the newest datagram.
    package var sequence: UInt64
    /// When a datagram was last taken: unix nanoseconds.
    package var heard: UInt64
    package var account: DatagramAccount
}

extension DatagramSources {
    package var selfMetrics: [SelfMetricFamily] {
        let account = account
        return [
            .counter(
                "crest_datagram_items_produced_total", "Items that sources of Crest datagrams produced.",
                account.produced),
            .counter("crest_datagram_items_received_total", "Items of Crest datagrams taken.", account.received),
            .counter(
                "crest_datagram_items_gap_total", "Items of datagrams that were missing when a later one came.",
                account.gap),
            .counter(
                "crest_datagram_items_recovered_total", "Items of missing datagrams that came after all.",
                account.recovered),
            .counter(
                "crest_datagram_items_dropped_in_client_total", "Items that sources say they dropped.",
                account.droppedInClient),
            .counter("crest_datagram_taken_total", "Crest datagrams taken.", account.datagrams),
            .counter(
                "crest_datagram_missing_total", "Sequence numbers that were missing when a later one came.",
                account.missing),
            .counter(
                "crest_datagram_reordered_total", "Crest datagrams taken after a later one of their source.",
                account.reordered),
            .counters(
                "crest_datagram_rejected_total", "Crest datagrams not taken, by reason.", by: "reason",
                account.rejected.map { ($0.reason.rawValue, $0.count) }),
            .counter(
                "crest_datagram_miscounted_total", "Span batches with another number of spans than announced.",
                account.miscounted),
            .gauge("crest_datagram_sources", "Sources of Crest datagrams followed.", Double(count)),
            .counter(
                "crest_datagram_sources_joined_total", "Sources whose beginning was not seen.", account.joined),
            .counter(
                "crest_datagram_sources_forgotten_total", "Sources no longer followed, to make room.",
                account.forgotten),
        ]
    }
}
