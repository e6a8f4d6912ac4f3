/// How long a refused client is told to wait, so that the load of a peak comes back spread and not at once.
package enum RetryDelay {
    static let shortestSeconds = 1
    static let longestSeconds = 30

    /// `clamp(drain x 1.5, 1, 30) x (0.5 + fraction of the peer)`, rounded up.
    ///
    /// - Parameters:
    ///   - drainSeconds: how long what is held now takes to be worked off.
    ///   - floor: what the refusal itself asks for.
    package static func seconds(drainSeconds: Double, floor: Int, peer: PeerAddress?) -> Int {
        let wanted = max(drainSeconds * 1.5, Double(floor))
        let clamped = min(max(wanted, Double(shortestSeconds)), Double(longestSeconds))
        return max(Int((clamped * (0.5 + (peer?.fraction ?? 0.5))).rounded(.up)), 1)
    }
}
