/// How little may be free on the file system before the store acts, in bytes.
///
/// By the size of the file system: soft 10 %, at most 2 GiB; hard 5 %, at most 1 GiB.
package struct Watermarks: Hashable, Sendable {
    /// Less is free: a warning; retention and deletion make room early.
    package let soft: UInt64
    /// Less is free: no spans are taken until there is room above `soft` again.
    package let hard: UInt64

    private static let mostSoft: UInt64 = 2 << 30
    private static let mostHard: UInt64 = 1 << 30
    private static let mostBallast: UInt64 = 64 << 20

    package init(totalBytes: UInt64) {
        soft = min(totalBytes / 10, Self.mostSoft)
        hard = min(totalBytes / 20, Self.mostHard)
    }

    /// `hard` as given, `soft` an eighth above.
    package init(reservedBytes: UInt64) {
        hard = reservedBytes
        soft = reservedBytes &+ reservedBytes / 8
    }

    /// Free bytes from which on spans are taken again: 1 % above `soft`.
    package var resume: UInt64 { soft &+ soft / 100 }

    /// Bytes of the ballast: an eighth of `hard`, at most 64 MiB.
    package var ballast: UInt64 { min(hard / 8, Self.mostBallast) }

    package func level(freeBytes: UInt64) -> SpaceLevel {
        if freeBytes < hard { return .full }
        return freeBytes < soft ? .low : .ample
    }
}

/// Where the free space of the file system is, seen from the watermarks.
package enum SpaceLevel: Int, Hashable, Sendable {
    case ample
    case low
    case full
}

/// The free space as the store last saw it, and what it holds back.
package struct SpaceReport: Hashable, Sendable {
    package var freeBytes: UInt64 = 0
    package var totalBytes: UInt64 = 0
    package var level = SpaceLevel.ample
    package var ballastBytes: UInt64 = 0
    /// What only snapshots hold, at most a minute ago; see ``SnapshotHolding``.
    package var snapshotBytes: UInt64 = 0

    package init() {}
}

extension StoreConfiguration {
    package func watermarks(of space: DiskSpace) -> Watermarks {
        reservedBytes.map { Watermarks(reservedBytes: $0) } ?? Watermarks(totalBytes: space.totalBytes)
    }
}
