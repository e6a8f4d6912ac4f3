/// What an acknowledgement promises. The raw value is what `--durability` takes and the `crest-durability` header says.
package enum Durability: String, CaseIterable, Sendable {
    /// On disk: fdatasync of its group returned. Survives kill -9 and power loss.
    case synced
    /// Written to the page cache, synced at most 100 ms later. Survives kill -9.
    case interval
    /// In memory until sealed. Survives nothing.
    case memory
}

/// What the store gives back for an accepted batch.
package struct CommitReceipt: Hashable, Sendable {
    /// Sequence number of the batch's record in the WAL, from 1.
    package let sequence: UInt64
    package let durability: Durability

    package init(sequence: UInt64, durability: Durability) {
        self.sequence = sequence
        self.durability = durability
    }
}

/// Why the store did not take a batch. Nothing of the batch is stored then.
package enum CommitRefusal: Error, Hashable, Sendable {
    /// The commit queue is full; try again after the seconds given (1...30).
    case busy(retryAfter: Int)
    /// The tenant, or the address it came from, has sent more spans than it may; after the seconds given it may again.
    case tenantRate(retryAfter: Int)
    case sourceRate(retryAfter: Int)
    /// The disk is full or failing; reads go on.
    case readOnly(String)
    case stopping
}
