import Daemon
import Endpoints
import Telemetry
import Testing

@Suite struct MemorySharesTests {
    @Test("At 512 MiB the store has what Limits say; below, what 96 MiB leave is shared out in proportion")
    func proportions() {
        let standard = MemoryShares(limit: 512 << 20)
        #expect(standard.head / 1_000 == Limits.headBytes / 1_000)
        #expect(standard.commitQueue / 1_000 == Limits.commitQueueBytes / 1_000)
        #expect(standard.regretRing == Limits.regretRingBytes && standard.body == Limits.bodyBytes)
        let small = MemoryShares(limit: 256 << 20)
        #expect(small.body == Limits.bodyBytes / 2)
        #expect(small.head < Limits.headBytes / 2 && small.commitQueue < Limits.commitQueueBytes / 2)
    }

    @Test("What grows with the load fits the limit beside what is taken anyhow", arguments: [256, 512, 1_024, 65_536])
    func fits(mebibytes: UInt64) {
        let shares = MemoryShares(limit: mebibytes << 20)
        let heads = shares.head * (1 + Limits.sealingHeads)
        let growing = shares.requests + heads + shares.commitQueue + shares.regretRing
        #expect(growing <= (Int(mebibytes) - 96) << 20)
    }

    @Test(
        "No limit is too small for the largest request, and none too large to count",
        arguments: [0, 64 << 20, .max] as [UInt64])
    func bounds(limit: UInt64) {
        let shares = MemoryShares(limit: limit)
        #expect(shares.body >= 8 << 20 && shares.body <= Limits.bodyBytes)
        #expect(shares.requests >= MemoryBudget.mostRequestBytes(body: shares.body))
        #expect(shares.head >= 6 << 20 && shares.commitQueue >= 8 << 20)
    }
}
