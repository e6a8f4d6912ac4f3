/// Addresses in the binary forms of Zipkin.
extension ZipkinEndpoint {
    /// Takes four or sixteen bytes in network order; any other length is left out, as Zipkin does.
    mutating func setAddress(_ bytes: UnsafeRawBufferPointer) {
        switch bytes.count {
        case 4: ipv4 = Self.text(version4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
        case 16:
            let (high, low) = traceID(bytes)
            // ::ffff:a.b.c.d
            if high == 0, low >> 32 == 0xffff {
                ipv4 = Self.text(version4: UInt32(truncatingIfNeeded: low))
            } else {
                ipv6 = Self.text(version6: high, low)
            }
        default: break
        }
    }

    /// `10.0.0.1`
    static func text(version4 address: UInt32) -> String {
        "\(address >> 24).\(address >> 16 & 0xff).\(address >> 8 & 0xff).\(address & 0xff)"
    }

    /// The form of RFC 5952: lower case, the longest run of at least two zero groups as `::`.
    static func text(version6 high: UInt64, _ low: UInt64) -> String {
        let groups = (0..<8).map { index in
            UInt16(truncatingIfNeeded: (index < 4 ? high : low) >> UInt64(48 - 16 * (index % 4)))
        }
        let gap = longestZeroRun(groups)
        let text = { (part: ArraySlice<UInt16>) in part.map { String($0, radix: 16) }.joined(separator: ":") }
        guard gap.count > 1 else { return text(groups[...]) }
        return text(groups[..<gap.lowerBound]) + "::" + text(groups[gap.upperBound...])
    }

    private static func longestZeroRun(_ groups: [UInt16]) -> Range<Int> {
        var longest = 0..<0
        var start = 0
        for (index, group) in groups.enumerated() {
            if group != 0 {
                start = index + 1
            } else if index + 1 - start > longest.count {
                longest = start..<index + 1
            }
        }
        return longest
    }
}
