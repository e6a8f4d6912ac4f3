internal import Endpoints
internal import Telemetry

/// What the parts of the process that grow with the load may hold of `--memory-limit`, in bytes.
///
/// A body may be an eighth of the limit, which with the rows made of it is half. 96 MiB are taken whatever the limit:
/// programs, threads, caches, series. Of what is left two fifths are for requests, but never less than the largest one
/// takes, and three twenty-sixths for each of the three heads; at 512 MiB the store's shares are those of ``Limits``.
/// The rest is for queries, merges, and what is not counted.
package struct MemoryShares: Hashable, Sendable {
    /// Of one body, as sent and inflated; more: 413.
    package let body: Int
    /// From the head of a request until its answer.
    package let requests: Int
    /// Of the open head, and of each of ``Limits/sealingHeads`` that are being sealed.
    package let head: Int
    package let commitQueue: Int
    package let regretRing: Int

    private static let fixedBytes: UInt64 = 96 << 20

    package init(limit: UInt64) {
        let left = limit - min(limit, Self.fixedBytes)
        body = min(max(Int(clamping: limit / 8), 8 << 20), Limits.bodyBytes)
        requests = max(Int(clamping: left / 5 * 2), MemoryBudget.mostRequestBytes(body: body))
        head = max(Int(clamping: left / 26 * 3), 6 << 20)
        commitQueue = max(Int(clamping: left / 13 * 2), 8 << 20)
        regretRing = min(Limits.regretRingBytes, Int(clamping: limit / 16))
    }
}
