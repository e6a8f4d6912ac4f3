/// Why a Crest datagram was not taken. The raw value is the `reason` label of `crest_datagram_rejected_total`.
package enum CrestDatagramRejection: String, CaseIterable, Sendable {
    case malformed
    case version
    case checksum
    /// A key is set and the datagram has no tag.
    case untagged
    case badTag = "bad_tag"
    /// A key is set and the datagram's time is too far from now.
    case badTime = "bad_time"
    case compression
    /// Counts that contradict what the source said before.
    case inconsistent
    case duplicate
    /// So far behind its source's newest one that it cannot be told from a duplicate.
    case tooLate = "too_late"
}

/// What the sources of Crest datagrams say they produced, and what of it came.
///
///     items:     produced = received + lost + dropped in the client;  lost = gap - recovered
///     datagrams: taken + rejected{reason} = handled
///
/// Items are counted from the first datagram on that came of a source, or from its beginning where that is known.
package struct DatagramAccount: Hashable, Sendable {
    package var produced: UInt64 = 0
    package var received: UInt64 = 0
    package var droppedInClient: UInt64 = 0
    /// Items of datagrams that were missing when a later one came.
    package var gap: UInt64 = 0
    /// Of these, the items that came after all.
    package var recovered: UInt64 = 0

    package var datagrams: UInt64 = 0
    /// Sequence numbers that were missing when a later one came.
    package var missing: UInt64 = 0
    /// Datagrams that came after a later one of their source and were taken.
    package var reordered: UInt64 = 0
    /// Span batches that held another number of spans than the heads of their datagrams said.
    package var miscounted: UInt64 = 0

    /// Lives of sources whose beginning was not seen.
    package var joined: UInt64 = 0
    package var forgotten: UInt64 = 0
    /// By position in ``CrestDatagramRejection/allCases``.
    private var rejections = [UInt64](repeating: 0, count: CrestDatagramRejection.allCases.count)

    package init() {}

    package var lost: UInt64 { gap &- recovered }

    /// Items that are in no term; zero when the books are right.
    package var difference: Int64 { Int64(truncatingIfNeeded: produced &- received &- lost &- droppedInClient) }

    package mutating func reject(_ reason: CrestDatagramRejection) {
        if let index = CrestDatagramRejection.allCases.firstIndex(of: reason) { rejections[index] &+= 1 }
    }

    package var rejected: [(reason: CrestDatagramRejection, count: UInt64)] {
        Array(zip(CrestDatagramRejection.allCases, rejections))
    }

    package func rejected(_ reason: CrestDatagramRejection) -> UInt64 {
        rejected.first { $0.reason == reason }?.count ?? 0
    }
}
