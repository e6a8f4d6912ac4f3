internal import CLinux

/// CRC32C (Castagnoli), the checksum of every Crest file and datagram.
///
/// Source: RFC 3720 appendix B.4 (reflected polynomial 0x82F63B78). `crc32c("123456789") == 0xE3069283`.
package func crc32c(_ bytes: UnsafeRawBufferPointer, continuing crc: UInt32 = 0) -> UInt32 {
    clinux_crc32c(crc, bytes.baseAddress, bytes.count)
}

/// CRC32C of a whole array; see ``crc32c(_:continuing:)``.
package func crc32c(_ bytes: [UInt8], continuing crc: UInt32 = 0) -> UInt32 {
    bytes.withUnsafeBytes { crc32c($0, continuing: crc) }
}
