internal import Synchronization

/// The store's side of the ledger, read at one instant.
///
///     stored = live + expired + thinned + deleted + merged + quarantined + lost
package struct LedgerTerms: Hashable, Sendable {
    package var stored: UInt64 = 0
    /// In segments and heads.
    package var live: UInt64 = 0
    package var expired: UInt64 = 0
    package var thinned: UInt64 = 0
    /// Removed by compaction on request; until then a deleted span is hidden from every query, and live.
    package var deleted: UInt64 = 0
    /// Repeated deliveries of a span, stored and then found by compaction.
    package var merged: UInt64 = 0
    package var quarantined: UInt64 = 0
    package var lost: UInt64 = 0
    /// Spans handed over and neither stored nor refused yet; not part of `stored`.
    package var inFlight: UInt64 = 0
    package var headSpans: UInt64 = 0
    package var headBytes: UInt64 = 0
    /// Full heads that wait to be sealed or are being sealed.
    package var sealingHeads = 0
    package var queueBytes: UInt64 = 0
    package var segmentCount = 0
    package var segmentBytes: UInt64 = 0
    package var walBytes: UInt64 = 0
    /// Sequence of the newest record whose sync has returned.
    package var durableSequence: UInt64 = 0

    package init() {}

    package var balanced: Bool {
        stored == live &+ expired &+ thinned &+ deleted &+ merged &+ quarantined &+ lost
    }

    package var bytesOnDisk: UInt64 { segmentBytes &+ walBytes }
}

extension SegmentStore {
    /// Descriptors that segments hold at the moment.
    package var openSegmentCount: Int { segmentFiles.openCount }

    package var ledgerTerms: LedgerTerms {
        var terms = shared.withLock { $0.terms }
        let depth = queue.depth
        terms.inFlight = UInt64(clamping: depth.spans)
        terms.queueBytes = UInt64(clamping: depth.bytes)
        terms.durableSequence = durableSequence.load(ordering: .relaxed)
        return terms
    }
}

extension SharedState {
    var terms: LedgerTerms {
        var terms = LedgerTerms()
        terms.stored = stored
        terms.expired = removed.expired
        terms.thinned = removed.thinned
        terms.deleted = removed.deleted
        terms.merged = removed.merged
        terms.quarantined = removed.quarantined
        terms.lost = removed.lost
        for head in [active] + sealing.map(\.head) {
            terms.headSpans &+= UInt64(clamping: head.spanCount)
            terms.headBytes &+= UInt64(clamping: head.byteCount)
        }
        terms.sealingHeads = sealing.count
        terms.segmentCount = segments.count
        for segment in segments {
            terms.live &+= segment.entry.spanCount
            terms.segmentBytes &+= segment.entry.byteCount
        }
        terms.live &+= terms.headSpans
        for file in walFiles { terms.walBytes &+= file.byteCount }
        return terms
    }
}
