package import Telemetry

/// What became of one remote write request.
package struct RemoteWriteReport: Sendable {
    /// Written, repetitions of what is there already among them.
    package var samples = 0
    package var histograms = 0
    package var exemplars = 0
    /// Samples and histograms that ended their series; counted above too.
    package var staleMarkers = 0
    /// Samples and histograms that were the last ones of their series once more; counted above too.
    package var repeated = 0
    /// Only reasons that occurred; without repetitions.
    package var rejected: [(reason: PointRejection, count: Int)] = []
    /// Names the first rejected series and its defect; empty when none was rejected.
    package var message = ""

    package init() {}

    package var rejectedCount: Int { rejected.reduce(0) { $0 + $1.count } }

    mutating func reject(_ reason: PointRejection, _ count: Int = 1, _ place: @autoclosure () -> String) {
        guard count > 0 else { return }
        if rejected.isEmpty { message = "\(place()): \(reason.sentence)" }
        if let index = rejected.firstIndex(where: { $0.reason == reason }) {
            rejected[index].count += count
        } else {
            rejected.append((reason, count))
        }
    }
}
