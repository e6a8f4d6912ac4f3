/// CRC32C (Castagnoli), the checksum of Crest datagrams. `crc32c("123456789") == 0xE3069283`.
/// - Source: RFC 3720 appendix B.4, reflected polynomial 0x82F63B78.
struct CRC32C {
    private var state: UInt32 = .max

    var value: UInt32 { ~state }

    mutating func update(_ bytes: some Collection<UInt8>) {
        Self.table.withUnsafeBufferPointer { table in
            var crc = state
            for byte in bytes { crc = table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)] ^ crc >> 8 }
            state = crc
        }
    }

    private static let table: [UInt32] = (0..<256).map { byte in
        (0..<8).reduce(UInt32(byte)) { crc, _ in crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
}
