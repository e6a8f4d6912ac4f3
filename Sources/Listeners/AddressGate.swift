internal import NIOCore
internal import Synchronization

/// What one address may have of a server: so many connections, and so many calls that come to nothing. An address that
/// goes beyond the latter gets no new connections for a while, so that closing its connections one by one is not
/// all that is done.
///
/// An IPv6 address counts by its first 64 bits, which one customer usually has.
final class AddressGate: Sendable {
    fileprivate struct Key: Hashable {
        var high: UInt64
        var low: UInt64
    }

    private struct Entry {
        var connections = 0
        var wasted = 0
        var windowStart = NIODeadline.now()
        var barredUntil: NIODeadline?

        func isBarred(_ now: NIODeadline) -> Bool { barredUntil.map { $0 > now } ?? false }
    }

    /// Connections at once.
    let connections: Int
    /// Calls that came to nothing, in ``window``.
    let wasted: Int
    static let window = TimeAmount.seconds(10)
    /// Addresses without a connection that are remembered because they are barred; beyond: forgotten.
    static let remembered = 4_096

    private let entries = Mutex<[Key: Entry]>([:])

    init(connections: Int, wasted: Int = .max) {
        self.connections = connections
        self.wasted = wasted
    }

    /// Counts a connection in until it is closed; false when its address has enough or is barred.
    func admits(_ channel: any Channel) -> Bool {
        guard let key = Key(channel.remoteAddress) else { return true }
        let now = NIODeadline.now()
        let isAdmitted = entries.withLock { entries in
            var entry = entries[key] ?? Entry()
            guard entry.connections < connections, !entry.isBarred(now) else { return false }
            entry.connections += 1
            entries[key] = entry
            return true
        }
        if isAdmitted { channel.closeFuture.whenComplete { _ in self.leave(key) } }
        return isAdmitted
    }

    private func leave(_ key: Key) {
        let now = NIODeadline.now()
        entries.withLock { entries in
            guard var entry = entries[key] else { return }
            entry.connections -= 1
            let isOver = entry.connections <= 0 && !entry.isBarred(now) && now - entry.windowStart > Self.window
            entries[key] = isOver ? nil : entry
            if entries.count > Self.remembered { entries = entries.filter { $0.value.connections > 0 } }
        }
    }

    /// Counts a call that came to nothing.
    /// - Returns: false when it was one too many; the connection is to be closed then.
    func takesWaste(from channel: any Channel) -> Bool {
        guard wasted < .max, let key = Key(channel.remoteAddress) else { return true }
        let now = NIODeadline.now()
        return entries.withLock { entries in
            var entry = entries[key] ?? Entry()
            if now - entry.windowStart > Self.window {
                entry.windowStart = now
                entry.wasted = 0
            }
            entry.wasted += 1
            let isTooMuch = entry.wasted > wasted
            if isTooMuch { entry.barredUntil = now + Self.window }
            entries[key] = entry
            return !isTooMuch
        }
    }
}

extension AddressGate.Key {
    /// Nil for a socket that has no address.
    fileprivate init?(_ address: SocketAddress?) {
        switch address {
        case .v4(let address):
            // Behind family and port.
            let word = withUnsafeBytes(of: address.address) { $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self) }
            self.init(high: 0, low: UInt64(word))
        case .v6(let address):
            // Behind family, port and flow label.
            let halves = withUnsafeBytes(of: address.address) { bytes in
                (
                    bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                    bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)
                )
            }
            // An IPv4 client of a socket for both has its mapped form here, whose first half is zero.
            self.init(high: halves.0, low: halves.0 == 0 ? halves.1 : 0)
        case .unixDomainSocket, nil: return nil
        }
    }
}
