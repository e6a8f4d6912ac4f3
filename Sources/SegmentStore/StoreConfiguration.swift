package import Telemetry

/// How a store behaves. The defaults are those of the daemon.
package struct StoreConfiguration: Sendable {
    package var durability = Durability.synced
    /// Bytes of rows in the head after which it is sealed.
    package var headBytes = Limits.headBytes
    /// Nanoseconds after the arrival of its oldest batch at which a head is sealed however small.
    package var headAge: UInt64 = 300 * 1_000_000_000
    package var groupBytes = Limits.groupBytes
    package var groupRequests = Limits.groupRequests
    package var commitQueueBytes = Limits.commitQueueBytes
    /// Told how long requests wait for the committer.
    package var admission = AdmissionLevel()
    /// Whether requests are refused just now for want of time or room; merges stand back then, see ``CompactionPolicy/mostWaiting``.
    package var isPressed: @Sendable () -> Bool = { false }
    package var retention = RetentionPolicy()
    /// Nanoseconds after which a snapshot is removed; nil: never.
    package var snapshotAge: UInt64?
    /// Free bytes of the file system below which no spans are taken, so that sealing and removal still have room;
    /// nil: by the size of the file system, see ``Watermarks``; 0: the disk may be filled to the last byte.
    package var reservedBytes: UInt64?
    /// Descriptors that segments may hold; more segments than that are opened when they are read.
    package var openSegments = 512
    package var compressionLevel: Int32 = 1
    package var compaction = CompactionPolicy()
    package var scrub = ScrubPolicy()
    /// False: the owner calls `commitStep`, `sealStep` and `idleStep` itself, as tests do.
    package var runsThreads = true
    /// Unix nanoseconds.
    package var wallClock: @Sendable () -> UInt64
    package var random: @Sendable () -> UInt64 = { UInt64.random(in: .min ... .max) }
    /// Lines for the log; called from any of the store's threads.
    package var log: @Sendable (StoreLogLevel, String) -> Void = { _, _ in }

    package init(wallClock: @escaping @Sendable () -> UInt64) { self.wallClock = wallClock }
}

package enum StoreLogLevel: String, Sendable {
    case info
    case warning
    case error
}

/// How long and how much is kept. What is beyond either is removed, whole segments at a time, oldest arrival first.
package struct RetentionPolicy: Hashable, Sendable {
    /// Nanoseconds since arrival; nil: for ever.
    package var age: UInt64?
    /// Bytes of segments and WAL; nil: 80 % of the file system.
    package var bytes: UInt64?
    /// What holds for a class besides; none for any but ``RetentionClass/pinned``: traces are not sorted.
    package var classes: [RetentionClass: ClassBudget] = [:]
    /// Nanoseconds of a span from which its trace is slow.
    package var slowThreshold: UInt64 = 1_000_000_000

    package init(age: UInt64? = nil, bytes: UInt64? = nil) {
        self.age = age
        self.bytes = bytes
    }
}

/// How long and how much of one class is kept.
package struct ClassBudget: Hashable, Sendable {
    /// Nanoseconds since arrival, in place of the general age; nil: that, `UInt64.max`: for ever. No meaning for pins.
    package var age: UInt64?
    /// Bytes of segments; nil: no more than all classes together may have. Of pins: beyond it no more are taken.
    package var bytes: UInt64?

    package init(age: UInt64? = nil, bytes: UInt64? = nil) {
        self.age = age
        self.bytes = bytes
    }
}

/// Why a data directory could not be opened; each case is one exit code of the daemon.
package enum StoreOpenError: Error, Hashable, Sendable {
    /// Another process owns it (73).
    case inUse(String)
    /// A disk call failed (74).
    case disk(DiskError)
    /// A disk call was not permitted (77).
    case permission(DiskError)
    /// A file is whole, but of a format this build does not know (78).
    case unknownFormat(path: String, major: UInt16)

    init(_ error: DiskError) {
        if error.isInUse {
            self = .inUse(error.path)
        } else if error.isPermission {
            self = .permission(error)
        } else {
            self = .disk(error)
        }
    }
}

/// What the store can do at the moment.
package enum StoreState: Hashable, Sendable {
    case ok
    /// Everything works, but something is in quarantine or was lost.
    case degraded(String)
    /// Reads go on, nothing is taken.
    case readOnly(String)
    case closed
}
