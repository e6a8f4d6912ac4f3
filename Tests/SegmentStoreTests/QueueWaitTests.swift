import SegmentStore
import Synchronization
import Telemetry
import TestKit
import Testing

@Suite("Waiting for the committer")
struct QueueWaitTests {
    private func batch(_ number: UInt64) -> SpanBatch {
        let record = SpanRecord(
            traceID: TraceID(high: 0, low: number), spanID: SpanID(number), name: "get", start: 1, end: 2)
        return SpanBatch(origin: BatchOrigin(arrival: 1), records: [record])
    }

    /// A slow commit: nothing is waited for but time.
    private func spend(milliseconds: UInt64) {
        let until = MonotonicTime.now() + milliseconds * 1_000_000
        while MonotonicTime.now() < until {}
    }

    @Test("Requests left behind by full groups cut the level, those that wait for one commit do not")
    func leftBehind() throws {
        let admission = AdmissionLevel()
        let fixture = StoreFixture {
            $0.groupRequests = 2
            $0.admission = admission
        }
        let store = try fixture.open()
        for number in 1...4 as ClosedRange<UInt64> {
            store.append(batch(number)) { _ in }
            spend(milliseconds: 30)
            #expect(store.commitStep())
        }
        #expect(admission.isFull)
        for number in 10...21 as ClosedRange<UInt64> { store.append(batch(number)) { _ in } }
        while store.commitStep() { spend(milliseconds: 30) }
        #expect(!admission.isFull)
        store.close()
    }
}
