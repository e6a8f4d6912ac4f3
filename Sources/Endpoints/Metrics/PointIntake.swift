internal import MetricsEngine
internal import Synchronization
package import Telemetry

extension MetricsService {
    /// Applies the points of one OTLP request and counts them; from any thread.
    package func receive(points: MetricPoints) -> PointOutcome {
        if engine.isPointQueueFull { return PointOutcome(rejected: 0, message: "", isBusy: true) }
        let report = engine.apply(
            points, nowNanoseconds: Int64(clamping: now()), startedNanoseconds: Int64(clamping: started))
        ledger.pointsSeen.add(UInt64(points.received), ordering: .relaxed)
        ledger.pointsApplied.add(UInt64(report.applied), ordering: .relaxed)
        for (reason, count) in report.rejected { ledger.pointsRejected.add(UInt64(count), reason) }
        return PointOutcome(rejected: report.rejectedCount, message: report.message)
    }
}

/// What an OTLP client is told about its points.
package struct PointOutcome: Hashable, Sendable {
    package var rejected: Int
    /// Names the first rejected point and its defect.
    package var message: String
    /// Nothing was taken; the client may send the same again.
    package var isBusy = false
}
