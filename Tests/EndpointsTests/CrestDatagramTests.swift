import Bytes
import Endpoints
import MetricsEngine
import Synchronization
import Telemetry
import Testing
import WireFormats

/// A client of the daemon under test: counts as one does, and keeps its datagrams so that a test may lose them.
private struct DatagramClient {
    var head = CrestDatagramHead()
    var dropped: UInt64 = 0
    var sent: UInt64 = 0

    init(source: UInt64 = 7, epoch: UInt64 = TestDaemon.now + 1) {
        (head.source, head.epoch, head.time) = (source, epoch, TestDaemon.now)
    }

    mutating func next(_ signal: CrestDatagramSignal, items: Int) -> CrestDatagramHead {
        sent += UInt64(items)
        head.signal = signal
        head.sequence += 1
        (head.produced, head.dropped, head.items) = (sent + dropped, dropped, UInt32(items))
        return head
    }

    mutating func spans(_ ids: [UInt64], key: HMACSHA256? = nil, zstd: Bool = false) -> [UInt8] {
        let records = ids.map { id in
            SpanRecord(
                traceID: TraceID(high: 1, low: id), spanID: SpanID(id), name: "get", start: TestDaemon.now,
                end: TestDaemon.now + 5)
        }
        return encode(next(.spans, items: ids.count), encodeOTLPTraces(records), key, zstd)
    }

    mutating func lines(_ text: String, items: Int) -> [UInt8] { encode(next(.lines, items: items), text.bytes) }

    mutating func report() -> [UInt8] { encode(next(.report, items: 0), []) }

    func encode(
        _ head: CrestDatagramHead, _ payload: [UInt8], _ key: HMACSHA256? = nil, _ zstd: Bool = false
    ) -> [UInt8] {
        var bytes: [UInt8] = payload
        if zstd {
            bytes = []
            _ = payload.withUnsafeBytes { ZstdCompressor(level: 1).append($0, to: &bytes) }
        }
        return bytes.withUnsafeBytes {
            encodeCrestDatagram(head, payload: $0, plainBytes: zstd ? payload.count : nil, key: key)
        }
    }
}

/// A daemon with a receiver of Crest datagrams.
private struct DatagramDaemon {
    let daemon = TestDaemon()
    let metrics: MetricsService
    let receiver: CrestDatagramReceiver

    init(key: [UInt8]? = nil) {
        metrics = MetricsService(ledger: daemon.ledger, now: { TestDaemon.now })
        receiver = CrestDatagramReceiver(daemon.router.context, lines: metrics.makeReceiver(), key: key)
    }

    var sources: DatagramSources { daemon.router.context.datagramSources }
    var account: DatagramAccount { sources.account }
    var storedIDs: [UInt64] { daemon.store.records.map(\.spanID.value) }

    func receive(_ datagrams: [UInt8]...) {
        for datagram in datagrams { datagram.withUnsafeBytes { receiver.receive($0) } }
    }

    func settle() {
        receiver.tick()
    }
}

@Suite("Crest datagrams at the receiver")
struct CrestDatagramReceiverTests {
    private func isBalanced(_ daemon: DatagramDaemon) -> Bool {
        daemon.daemon.get("/api/crest/v1/ledger").text.hasPrefix(#"{"balanced":true"#)
    }

    @Test("Spans of many datagrams become one batch; lines go to the metrics")
    func taken() {
        let daemon = DatagramDaemon()
        var client = DatagramClient()
        daemon.receive(client.spans([1, 2]), client.spans([3], zstd: true), client.lines("a:1|c\nb:2|c", items: 2))
        daemon.receive(client.spans([4]), client.report())
        #expect(daemon.storedIDs.isEmpty)
        daemon.settle()
        #expect(daemon.storedIDs == [1, 2, 3, 4] && daemon.daemon.store.sequence == 1)
        #expect(daemon.daemon.ledger.linesApplied.load(ordering: .relaxed) == 2)
        let account = daemon.account
        #expect(account.produced == 6 && account.received == 6 && account.lost == 0 && account.datagrams == 5)
        #expect(account.joined == 0 && account.miscounted == 0 && isBalanced(daemon))
        let text = daemon.daemon.get("/api/crest/v1/ledger").text
        #expect(text.contains(#""sources":{"produced":6,"received":6,"lost":0,"droppedInClient":0,"difference":0"#))
        #expect(text.contains(#""newest":[{"source":"0000000000000007""#))
    }

    @Test("Gaps, reordering, duplicates and drops are counted to the item")
    func accounting() {
        let daemon = DatagramDaemon()
        var client = DatagramClient()
        let first = client.spans([1])
        let second = client.spans([2, 3])
        let third = client.spans([4, 5, 6])
        client.dropped = 10
        let fourth = client.spans([7])
        let fifth = client.spans([8, 9])
        daemon.receive(second, fifth)
        #expect(daemon.account.gap == 5 && daemon.account.missing == 3 && daemon.account.droppedInClient == 10)
        daemon.receive(first, fifth, fourth, fourth)
        daemon.settle()
        let account = daemon.account
        #expect(account.produced == 19 && account.received == 6 && account.lost == 3)
        #expect(account.recovered == 2 && account.reordered == 2 && account.rejected(.duplicate) == 2)
        #expect(account.difference == 0 && daemon.storedIDs == [2, 3, 8, 9, 1, 7])
        daemon.receive(third)
        daemon.settle()
        #expect(daemon.account.lost == 0 && daemon.account.received == 9 && isBalanced(daemon))
    }

    @Test("A source that was there before the daemon joins; what it sent earlier is not lost")
    func joining() {
        let daemon = DatagramDaemon()
        var client = DatagramClient(epoch: TestDaemon.now - 1)
        client.dropped = 100
        let earlier = client.spans([1, 2])
        let joining = client.spans([3])
        daemon.receive(joining)
        #expect(daemon.account.joined == 1 && daemon.account.produced == 1 && daemon.account.droppedInClient == 0)
        daemon.receive(earlier, earlier, client.spans([4]))
        let account = daemon.account
        #expect(account.produced == 4 && account.received == 4 && account.lost == 0 && account.recovered == 0)
        #expect(account.rejected(.duplicate) == 1 && account.difference == 0)
    }

    @Test("Old numbers and contradicting counts change nothing")
    func refused() {
        let daemon = DatagramDaemon()
        var client = DatagramClient()
        let old = client.spans([1])
        for id in 2...1_025 { daemon.receive(client.spans([UInt64(id)])) }
        let before = daemon.account
        #expect(before.lost == 1)
        daemon.receive(old)
        #expect(daemon.account.rejected(.tooLate) == 1)
        func changed(_ change: (inout CrestDatagramHead) -> Void) -> [UInt8] {
            var head = client.head
            (head.signal, head.items) = (.lines, 1)
            head.sequence += 2
            head.produced += 1
            change(&head)
            return client.encode(head, "a:1|c".bytes)
        }
        let bad = [
            changed { $0.produced -= 1 }, changed { $0.produced += 1 << 41 }, changed { $0.sequence += 1 << 41 },
            changed {
                $0.dropped = 1; $0.produced += 0
            },
            changed {
                $0.sequence -= 1; $0.produced += 1
            },
            changed { $0.sequence = .max }, changed { $0.produced = .max },
        ]
        for datagram in bad { daemon.receive(datagram) }
        #expect(daemon.account.rejected(.inconsistent) == UInt64(bad.count))
        #expect(daemon.account.produced == before.produced && daemon.account.received == before.received)
        daemon.receive(changed { _ in })
        #expect(daemon.account.rejected(.inconsistent) == UInt64(bad.count) && daemon.account.difference == 0)
    }

    @Test("A damaged payload costs its own spans only; every reason is counted")
    func damaged() {
        let daemon = DatagramDaemon()
        var client = DatagramClient()
        daemon.receive(
            client.spans([1]), client.encode(client.next(.spans, items: 3), [0xff, 0xff]), client.spans([2]))
        daemon.settle()
        #expect(daemon.storedIDs == [1, 2] && daemon.daemon.rejectedSpans(.malformed) == 3)
        #expect(daemon.account.received == 5 && daemon.account.miscounted == 0)
        daemon.receive(client.encode(client.next(.spans, items: 4), encodeOTLPTraces([]) + [0x12, 0]))
        daemon.settle()
        #expect(daemon.account.miscounted == 1)
        var broken = client.spans([3])
        broken[70] ^= 1
        let notZstd = "xxxx".bytes.withUnsafeBytes {
            encodeCrestDatagram(client.next(.lines, items: 1), payload: $0, plainBytes: 10)
        }
        daemon.receive("hello".bytes, [], broken, notZstd)
        let account = daemon.account
        #expect(account.rejected(.malformed) == 2 && account.rejected(.checksum) == 1)
        #expect(account.rejected(.compression) == 1)
        daemon.receive(client.report())
        #expect(daemon.account.lost == 2 && isBalanced(daemon))
    }

    @Test("With a key only what it signed, and lately, is taken")
    func authenticated() {
        let key = "0123456789abcdef".bytes
        let daemon = DatagramDaemon(key: key)
        var client = DatagramClient()
        let good = HMACSHA256(key: key)
        let untagged = client.spans([1])
        let wrong = client.spans([2], key: HMACSHA256(key: [1]))
        client.head.time = TestDaemon.now - 301_000_000_000
        let early = client.spans([3], key: good)
        client.head.time = .max
        let late = client.spans([4], key: good)
        client.head.time = TestDaemon.now + 299_000_000_000
        daemon.receive(untagged, wrong, early, late, client.spans([5], key: good))
        daemon.settle()
        let account = daemon.account
        #expect(daemon.storedIDs == [5] && account.lost == 4)
        #expect(account.rejected(.untagged) == 1 && account.rejected(.badTag) == 1 && account.rejected(.badTime) == 2)
    }

    @Test("Any loss, order and repetition: the account is that of a model", arguments: 1...20 as ClosedRange<UInt64>)
    func model(seed: UInt64) {
        var random = seed &* 0x9E37_79B9_7F4A_7C15
        func roll(_ bound: UInt64) -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (random >> 33) % bound
        }
        let sources = DatagramSources(since: 5)
        var heads: [CrestDatagramHead] = []
        for source in 1...3 as ClosedRange<UInt64> {
            var client = DatagramClient(source: source, epoch: 10)
            for _ in 0..<200 {
                client.dropped += roll(4) == 0 ? roll(9) : 0
                let items = Int(roll(5))
                heads.append(client.next(items == 0 ? .report : .lines, items: items))
            }
        }
        var arrivals: [(UInt64, CrestDatagramHead)] = []
        for (place, head) in heads.enumerated() where roll(10) > 1 {
            for _ in 0...roll(8) / 6 { arrivals.append((UInt64(place) + roll(60), head)) }
        }
        arrivals.sort { $0.0 < $1.0 }
        var seen = Set<CrestDatagramHead>()
        for (_, head) in arrivals { #expect(sources.take(head, now: 10) == seen.insert(head).inserted, "seed \(seed)") }
        var expected = DatagramAccount()
        for source in 1...3 as ClosedRange<UInt64> {
            guard let newest = seen.filter({ $0.source == source }).max(by: { $0.sequence < $1.sequence }) else {
                continue
            }
            expected.produced += newest.produced
            expected.droppedInClient += newest.dropped
        }
        expected.received = seen.reduce(0) { $0 + UInt64($1.items) }
        let account = sources.account
        #expect(account.produced == expected.produced && account.received == expected.received, "seed \(seed)")
        #expect(account.droppedInClient == expected.droppedInClient && account.difference == 0, "seed \(seed)")
        #expect(account.datagrams == UInt64(seen.count), "seed \(seed)")
        #expect(account.rejected(.duplicate) == UInt64(arrivals.count - seen.count), "seed \(seed)")
    }

    @Test("Sources are bounded; one that was forgotten joins and is not counted twice")
    func bounded() {
        let sources = DatagramSources(since: 5, limit: 8)
        var first = DatagramClient(source: 1_000, epoch: 10)
        for items in [3, 4] { #expect(sources.take(first.next(.lines, items: items), now: 20)) }
        for source in 1...100 as ClosedRange<UInt64> {
            var client = DatagramClient(source: source, epoch: 10)
            #expect(sources.take(client.next(.lines, items: 1), now: 30))
            #expect(sources.count <= 8)
        }
        #expect(sources.take(first.next(.lines, items: 5), now: 40))
        let account = sources.account
        #expect(account.produced == account.received && account.received == 112 && account.lost == 0)
        #expect(account.forgotten + UInt64(sources.count) == 102 && sources.newest(3).count == 3)
        #expect(sources.newest(1).first?.source == 1_000)
    }
}
