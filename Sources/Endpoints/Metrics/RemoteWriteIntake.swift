package import MetricsEngine
internal import Synchronization
package import Telemetry

extension MetricsService {
    /// Applies the series of one remote write request and counts them; from any thread.
    /// - Returns: nil when nothing was taken; the sender may send the same again.
    package func receive(remoteWrite batch: RemoteWriteBatch) -> RemoteWriteReport? {
        if engine.isPointQueueFull { return nil }
        let report = engine.apply(
            batch, nowNanoseconds: Int64(clamping: now()), startedNanoseconds: Int64(clamping: started))
        let written = report.samples + report.histograms
        ledger.pointsSeen.add(UInt64(written + report.rejectedCount), ordering: .relaxed)
        ledger.pointsApplied.add(UInt64(max(written - report.repeated, 0)), ordering: .relaxed)
        if report.repeated > 0 { ledger.pointsRejected.add(UInt64(report.repeated), .repeated) }
        for (reason, count) in report.rejected { ledger.pointsRejected.add(UInt64(count), reason) }
        ledger.staleMarkers.add(UInt64(report.staleMarkers), ordering: .relaxed)
        return report
    }
}
