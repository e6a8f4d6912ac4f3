internal import Bytes
internal import SpanPipeline
internal import Synchronization
internal import Telemetry
internal import WireFormats

/// Takes Crest datagrams from one receive thread, which owns the receiver.
///
/// Nobody is answered, so everything is counted. Spans of many datagrams are gathered and handed to the store as one
/// batch within some 50 ms. Lines go to the thread's own shard at once.
/// Source: schemas/wire/crest-datagram.md.
package final class CrestDatagramReceiver {
    private let context: EndpointContext
    private let sources: DatagramSources
    private let lines: StatsDReceiver
    private let key: HMACSHA256?
    private let decompressor = ZstdDecompressor()
    private var inflated: [UInt8] = []
    /// OTLP requests one behind the other, which together are one request, too.
    private var gathered: [UInt8] = []
    private var parts: [Part] = []
    private var gatheredSince: UInt64 = 0

    private struct Part {
        var end: Int
        var items: Int
    }

    /// How long spans are gathered: a commit costs as much for one as for thousands.
    private static let gatherNanoseconds: UInt64 = 50_000_000

    /// - Parameters:
    ///   - lines: takes metric lines; it must be the receiver's own.
    ///   - key: when given, only datagrams with a tag under it are taken.
    package init(_ context: EndpointContext, lines: StatsDReceiver, key: [UInt8]? = nil) {
        self.context = context
        self.lines = lines
        self.key = key.map { HMACSHA256(key: $0) }
        sources = context.datagramSources
    }

    /// Takes a datagram, borrowed for the call.
    package func receive(_ datagram: UnsafeRawBufferPointer) {
        let now = context.now()
        do throws(CrestDatagramError) {
            let decoded = try decodeCrestDatagram(datagram, limit: Limits.datagramPlainBytes)
            if let reason = refusal(of: decoded, datagram, now) { return sources.reject(reason) }
            let payload = UnsafeRawBufferPointer(rebasing: datagram[decoded.payload])
            guard decoded.isCompressed else { return take(decoded.head, payload, now) }
            if inflated.isEmpty { inflated = Array(repeating: 0, count: Limits.datagramPlainBytes) }
            let count = inflated.withUnsafeMutableBytes { decompressor.inflate(payload, into: $0) }
            guard count == decoded.plainBytes else { return sources.reject(.compression) }
            inflated.withUnsafeBytes {
                take(decoded.head, UnsafeRawBufferPointer(rebasing: $0[..<decoded.plainBytes]), now)
            }
        } catch {
            switch error.kind {
            case .malformed: sources.reject(.malformed)
            case .version: sources.reject(.version)
            case .checksum: sources.reject(.checksum)
            }
        }
    }

    /// Whether spans or lines wait for a later ``settle()`` or ``tick()``.
    package var isPending: Bool { lines.isPending || !parts.isEmpty }

    /// Closes the second of the lines when it is over. Call about four times a second.
    package func tick() {
        handOver()
        lines.tick(nowNanoseconds: context.now())
    }

    /// Hands the gathered spans to the store when they have waited long enough. Call when no datagram waits.
    /// - Returns: whether some still wait; then it must be called again within milliseconds.
    package func settle() -> Bool {
        guard !parts.isEmpty else { return false }
        let isDue = isOld(context.now())
        if isDue { handOver() }
        return !isDue
    }

    private func isOld(_ now: UInt64) -> Bool {
        now > gatheredSince && now - gatheredSince > Self.gatherNanoseconds
    }

    private func handOver() {
        guard !parts.isEmpty else { return }
        let origin = BatchOrigin(arrival: gatheredSince)
        gathered.withUnsafeBytes { bytes in
            let items = parts.reduce(0) { $0 + $1.items }
            if store(bytes, items: items, origin) { return }
            // One of them is damaged: each by itself.
            var start = 0
            for part in parts {
                if !store(UnsafeRawBufferPointer(rebasing: bytes[start..<part.end]), items: part.items, origin) {
                    context.ledger.spansReceived.add(UInt64(part.items), ordering: .relaxed)
                    context.ledger.spansRejected.add(UInt64(part.items), .malformed)
                }
                start = part.end
            }
        }
        gathered.removeAll(keepingCapacity: true)
        parts.removeAll(keepingCapacity: true)
    }

    /// - Returns: false for bytes that are no OTLP request; nothing is counted then.
    private func store(_ bytes: UnsafeRawBufferPointer, items: Int, _ origin: BatchOrigin) -> Bool {
        do throws(WireError) {
            let offer = try context.offer(bytes, origin, from: .datagram) { Array(bytes) }
            if offer.receivedCount != items { sources.noteMiscount() }
            // What is shed or refused is counted with the spans; there is nobody to tell.
            context.take(offer)
            return true
        } catch { return false }
    }

    private func refusal(
        of decoded: CrestDatagram, _ datagram: UnsafeRawBufferPointer, _ now: UInt64
    ) -> CrestDatagramRejection? {
        guard let key else { return nil }
        guard let tag = decoded.tag else { return .untagged }
        let tagBytes = UnsafeRawBufferPointer(rebasing: datagram[tag])
        let message = UnsafeRawBufferPointer(rebasing: datagram[..<tag.lowerBound])
        guard key.isTag(tagBytes, of: message) else { return .badTag }
        let time = decoded.head.time
        let distance = time > now ? time - now : now - time
        return distance > Limits.datagramTimeSeconds &* 1_000_000_000 ? .badTime : nil
    }

    private func take(_ head: CrestDatagramHead, _ payload: UnsafeRawBufferPointer, _ now: UInt64) {
        guard sources.take(head, now: now) else { return }
        switch head.signal {
        case .report: return
        case .lines:
            // An idle thread ticks rarely: the first lines after a pause open the second they come in.
            if !lines.isPending { lines.tick(nowNanoseconds: now) }
            lines.receive(datagram: payload)
        case .spans:
            if parts.isEmpty { gatheredSince = now }
            gathered.append(contentsOf: payload)
            parts.append(Part(end: gathered.count, items: Int(head.items)))
            if isOld(now) || gathered.count >= Limits.datagramBatchBytes { handOver() }
        }
    }
}
