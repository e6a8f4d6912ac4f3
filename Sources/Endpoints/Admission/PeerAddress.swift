/// Where a request came from. An IPv4 address is held in its IPv6 form `::ffff:a.b.c.d`.
package struct PeerAddress: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64
    package var port: UInt16

    package init(high: UInt64, low: UInt64, port: UInt16) {
        self.high = high
        self.low = low
        self.port = port
    }

    /// - Parameter bytes: four or sixteen, in network order; nil for any other count.
    package init?(_ bytes: some Collection<UInt8>, port: UInt16) {
        switch bytes.count {
        case 4: self.init(high: 0, low: Self.mappedPrefix | Self.number(bytes), port: port)
        case 16: self.init(high: Self.number(bytes.prefix(8)), low: Self.number(bytes.suffix(8)), port: port)
        default: return nil
        }
    }

    private static let mappedPrefix: UInt64 = 0xFFFF_0000_0000

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }

    private var isIPv4: Bool { high == 0 && low >> 32 == 0xFFFF }

    /// Whom a limit counts: an IPv4 address, or the 64 bits of an IPv6 address that one customer usually has.
    package var source: SourceKey { isIPv4 ? SourceKey(high: 0, low: low) : SourceKey(high: high, low: 0) }

    /// A number from 0 to 1 that is always the same for this address and port, and differs between neighbours.
    package var fraction: Double {
        var word = high &* 0x9E37_79B9_7F4A_7C15 ^ low &+ UInt64(port) &* 0xD6E8_FEB8_6659_FD93
        word = (word ^ word >> 30) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ word >> 27) &* 0x94D0_49BB_1331_11EB
        return Double((word ^ word >> 31) >> 11) / Double(1 << 53)
    }
}

/// An IPv4 address, or the first half of an IPv6 address.
package struct SourceKey: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}
