internal import Synchronization

/// Why a query stopped before it was done.
package enum QueryStop: Error, Hashable, Sendable {
    case deadline
    case cancelled
    /// More than the allowed bytes would have been read.
    case bytes(limit: Int)
}

/// What a query may use: time, bytes, and whether anybody still waits for it. Shared by all its parts.
package final class QueryBudget: Sendable {
    private let deadline: ContinuousClock.Instant
    private let byteLimit: Int
    private let bytesRead = Atomic<Int>(0)
    private let cancelled = Atomic<Bool>(false)
    /// What the query touches; always kept, shown when somebody asks.
    package let plan = QueryPlan()

    package init(
        timeout: Duration = .seconds(Limits.querySeconds), bytes: Int = Limits.queryBytes
    ) {
        deadline = ContinuousClock.now + timeout
        byteLimit = bytes
    }

    package func cancel() { cancelled.store(true, ordering: .relaxed) }

    /// Charges `bytes` read from disk or scanned and checks all limits. Call it once a block, not once a row.
    package func charge(_ bytes: Int) throws(QueryStop) {
        let total = bytesRead.add(bytes, ordering: .relaxed).newValue
        if total > byteLimit { throw .bytes(limit: byteLimit) }
        if cancelled.load(ordering: .relaxed) { throw .cancelled }
        if ContinuousClock.now > deadline { throw .deadline }
    }

    package var bytesCharged: Int { bytesRead.load(ordering: .relaxed) }
}

/// Why a read gave no answer.
package enum ReadError: Error, Hashable, Sendable {
    case stopped(QueryStop)
    /// The store could not read its files; the text names call, file and error.
    case storage(String)
}
