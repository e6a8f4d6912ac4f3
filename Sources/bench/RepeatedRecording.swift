internal import Glibc
internal import HostIO
internal import SegmentStore
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// One recording as often as wanted: each time with trace ids, span ids, order numbers and times of its own, so that
/// a store filled with it looks like one that was filled by a shop that runs for long.
struct RepeatedRecording {
    let batches: [SpanBatch]
    let spanCount: Int
    let repeats: Int
    private let earliest: UInt64
    private let length: UInt64
    private let end: UInt64

    /// The key whose values are new in every repeat.
    static let uniqueKey = "order.id"

    init(_ recording: Recording, repeats: Int) throws {
        batches = try recording.bodies.map { body in
            try body.withUnsafeBytes { try decodeOTLPTraces($0, origin: BatchOrigin(arrival: 1)) }.batch
        }
        spanCount = recording.spanCount
        self.repeats = repeats
        let starts = batches.flatMap { $0.spans.map(\.start) }
        earliest = starts.min() ?? 0
        length = (starts.max() ?? 0) - earliest + 1
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        end = UInt64(time.tv_sec) * 1_000_000_000
    }

    /// Spreads a repeat's number over all bits.
    private static func key(_ number: Int) -> UInt64 {
        let product = (UInt64(number) &+ 1).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return (product.high ^ product.low) &* 0xD6E8_FEB8_6659_FD93
    }

    static func traceID(_ id: TraceID, _ number: Int) -> TraceID {
        TraceID(high: id.high ^ key(number), low: id.low ^ key(number + 1_000_000))
    }

    /// The first two bytes of every unique value, in place of what was there.
    private static func prefix(_ number: Int) -> [UInt8] {
        [UInt8(ascii: "a") + UInt8(number / 26 % 26), UInt8(ascii: "a") + UInt8(number % 26)]
    }

    static func unique(_ value: String, _ number: Int) -> String {
        String(decoding: prefix(number), as: UTF8.self) + value.dropFirst(2)
    }

    /// A batch as it is in the repeat `number` (0..<``repeats``), the last of which ends now.
    func batch(_ index: Int, _ number: Int) -> SpanBatch {
        let source = batches[index]
        let shift = end &- UInt64(repeats - number) &* length &- earliest
        let spanKey = Self.key(number + 2_000_000)
        let spans = source.spans.map { span in
            var span = span
            let id = Self.traceID(span.traceID, number)
            (span.traceHigh, span.traceLow) = (id.high, id.low)
            span.spanID ^= spanKey
            if span.parentID != 0 { span.parentID ^= spanKey }
            span.start &+= shift
            span.end &+= shift
            return span
        }
        let events = source.events.map { event in
            var event = event
            event.time &+= shift
            return event
        }
        var arena = source.arena
        let wanted = Array(Self.uniqueKey.utf8)
        let keys = source.keys.map { source.slice($0, equals: wanted) }
        for row in source.attributes where keys[row.key] && row.type == .string && row.count >= 2 {
            let start = Int(row.slice.offset)
            arena.replaceSubrange(start..<start + 2, with: Self.prefix(number))
        }
        let latest = spans.map(\.end).max() ?? end
        return SpanBatch(
            origin: BatchOrigin(arrival: latest), spans: spans, attributes: source.attributes, events: events,
            links: source.links, scopes: source.scopes, resources: source.resources, keys: source.keys, arena: arena)
    }

    /// Puts everything into a new store in `folder`, the way crestd does, and closes it.
    func store(in folder: String) throws {
        var configuration = StoreConfiguration(wallClock: { [end] in end })
        configuration.durability = .memory
        configuration.headAge = .max
        let store = try SegmentStore.open(try HostDisk(folder), configuration: configuration)
        let filler = StoreFiller(store)
        for number in 0..<repeats {
            for index in batches.indices { try filler.append(batch(index, number)) }
        }
        try filler.finish()
        guard store.close() else { throw ReplayFailure(text: "the store could not be closed") }
    }
}

/// Appends batches and waits when the store is busy.
private final class StoreFiller: Sendable {
    private let store: SegmentStore
    private let pending = Atomic<Int>(0)
    private let failure = Mutex<String?>(nil)

    init(_ store: SegmentStore) { self.store = store }

    func append(_ batch: SpanBatch) throws {
        while pending.load(ordering: .relaxed) > 256 { usleep(200) }
        while true {
            let outcome = Mutex<Bool?>(nil)
            let waiter = Waiter(outcome)
            pending.add(1, ordering: .relaxed)
            store.append(batch) { result in
                self.pending.subtract(1, ordering: .relaxed)
                switch result {
                case .success: waiter.outcome.withLock { $0 = true }
                case .failure(.busy): waiter.outcome.withLock { $0 = false }
                case .failure(let refusal):
                    self.failure.withLock { $0 = "\(refusal)" }
                    waiter.outcome.withLock { $0 = true }
                }
            }
            if let text = failure.withLock({ $0 }) { throw ReplayFailure(text: text) }
            // A refusal comes at once; an acceptance may come later.
            guard waiter.outcome.withLock({ $0 }) == false else { return }
            usleep(5_000)
        }
    }

    func finish() throws {
        while pending.load(ordering: .relaxed) > 0 { usleep(1_000) }
        if let text = failure.withLock({ $0 }) { throw ReplayFailure(text: text) }
    }

    private final class Waiter: Sendable {
        let outcome: Mutex<Bool?>
        init(_ outcome: consuming sending Mutex<Bool?>) { self.outcome = outcome }
    }
}
