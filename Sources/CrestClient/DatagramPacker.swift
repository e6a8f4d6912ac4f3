/// Packs lines into datagrams of a fixed greatest size: as many whole lines as fit, a line feed between them.
package struct DatagramPacker {
    /// Largest payload. 1,400 leaves room for IP, UDP and a tunnel inside an Ethernet frame.
    package let maximumBytes: Int
    private var bytes: [UInt8] = []
    private(set) package var lineCount = 0

    package init(maximumBytes: Int = 1_400) {
        self.maximumBytes = max(1, maximumBytes)
        bytes.reserveCapacity(self.maximumBytes)
    }

    /// A full datagram and how many lines are in it.
    package struct Datagram: Sendable, Hashable {
        package let bytes: [UInt8]
        package let lineCount: Int
    }

    package enum Appended: Sendable, Hashable {
        case kept
        /// The line is kept; this datagram had no room for it and must go out.
        case full(Datagram)
        /// The line alone is longer than a datagram; it is not kept.
        case tooLong
    }

    package mutating func append(_ line: some Collection<UInt8>) -> Appended {
        let length = line.count
        guard length <= maximumBytes else { return .tooLong }
        var full: Datagram?
        if lineCount > 0, bytes.count + 1 + length > maximumBytes { full = take() }
        if lineCount > 0 { bytes.append(UInt8(ascii: "\n")) }
        bytes.append(contentsOf: line)
        lineCount += 1
        return full.map(Appended.full) ?? .kept
    }

    /// What is gathered so far; `nil` when that is nothing.
    package mutating func take() -> Datagram? {
        guard lineCount > 0 else { return nil }
        defer {
            bytes = []
            bytes.reserveCapacity(maximumBytes)
            lineCount = 0
        }
        return Datagram(bytes: bytes, lineCount: lineCount)
    }
}
