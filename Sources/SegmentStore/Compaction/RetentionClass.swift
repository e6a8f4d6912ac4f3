/// How much a trace is worth keeping: that of its most valuable span, and above all a pin.
///
/// Raw values are those on disk. Source: schemas/disk/segment.md, "Classes".
package enum RetentionClass: UInt8, CaseIterable, Sendable {
    /// Traces of any class: as sealed, and what no rule asks to sort. Kept and counted as ``ordinary``.
    case mixed = 0
    case ordinary = 1
    /// A span took at least ``RetentionPolicy/slowThreshold``.
    case slow = 2
    /// A span has status error.
    case error = 3
    case pinned = 4

    package var name: String { "\(self)" }
}

/// The class of a segment's traces, and how often the ordinary among them were halved.
package struct SegmentStanding: Hashable, Sendable {
    package var retentionClass = RetentionClass.mixed
    /// Halvings so far: at most ``thinningLimit``. The next one goes by this bit of a trace's ``thinningHash(_:)``.
    package var thinning: UInt8 = 0

    /// One of 65,536 is left: beyond that only age and bytes decide.
    package static let thinningLimit: UInt8 = 16

    package init(_ retentionClass: RetentionClass = .mixed, thinning: UInt8 = 0) {
        self.retentionClass = retentionClass
        self.thinning = thinning
    }

    /// As in the header: class in the low three bits, halvings above.
    var encoded: UInt8 { retentionClass.rawValue | thinning << 3 }

    /// A class that this version does not know is treated as mixed.
    init(encoded: UInt8) {
        retentionClass = RetentionClass(rawValue: encoded & 7) ?? .mixed
        thinning = encoded >> 3
    }
}

extension SegmentStanding {
    /// What decides which half of the traces stays. Another mix than that of the trace filters, whose false hits must
    /// not go with it. Source: schemas/disk/segment.md, "Thinning".
    static func thinningHash(high: UInt64, low: UInt64) -> UInt64 {
        mixed(mixed(low ^ 0x7468_696E_6E69_6E67) ^ (high &+ 0x6372_6573_7401))
    }
}
