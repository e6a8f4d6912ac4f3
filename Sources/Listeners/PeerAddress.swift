internal import Endpoints
internal import Glibc
internal import NIOCore

extension PeerAddress {
    /// Nil for a socket that has no address.
    init?(_ address: SocketAddress) {
        // sockaddr_in: family, port, 4 bytes; sockaddr_in6: family, port, flow, 16 bytes. An IPv4 client of a socket
        // for both has its mapped form there, which is ours too.
        let place: Range<Int>
        switch address {
        case .v4: place = 4..<8
        case .v6: place = 8..<24
        case .unixDomainSocket: return nil
        }
        let bytes = address.withSockAddr { pointer, count in Array(UnsafeRawBufferPointer(start: pointer, count: count))
        }
        guard bytes.count >= place.upperBound else { return nil }
        self.init(bytes[place], port: UInt16(truncatingIfNeeded: address.port ?? 0))
    }
}

/// Nanoseconds of a clock that never steps.
func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(clamping: time.tv_sec) &* 1_000_000_000 &+ UInt64(clamping: time.tv_nsec)
}
