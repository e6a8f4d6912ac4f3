package import Telemetry

/// What became of the points of one request.
package struct PointReport: Sendable {
    package var applied = 0
    /// Only reasons that occurred.
    package var rejected: [(reason: PointRejection, count: Int)] = []
    /// Names the first rejected metric and its defect; empty when none was rejected.
    package var message = ""

    package var rejectedCount: Int { rejected.reduce(0) { $0 + $1.count } }

    mutating func reject(_ reason: PointRejection, _ place: @autoclosure () -> String) {
        if rejected.isEmpty { message = "\(place()): \(reason.sentence)" }
        if let index = rejected.firstIndex(where: { $0.reason == reason }) {
            rejected[index].count += 1
        } else {
            rejected.append((reason, 1))
        }
    }
}
