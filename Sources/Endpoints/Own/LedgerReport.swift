internal import Synchronization
internal import Telemetry
internal import WireFormats

/// The span terms of the ledger at one moment, and whether they add up.
struct SpanAccount: Hashable {
    var received: UInt64 = 0
    var acknowledged: UInt64 = 0
    var duplicate: UInt64 = 0
    var rejected: UInt64 = 0
    var inFlight: Int64 = 0
    var store = StoreCounts()

    /// Spans that came in and are in no other term; zero when the books are right.
    var difference: Int64 {
        let storedHere = store.stored &- store.storedBefore
        let explained = storedHere &+ duplicate &+ rejected
        return Int64(truncatingIfNeeded: received) &- Int64(truncatingIfNeeded: explained) &- inFlight
    }

    /// What was stored and is no longer live nor accounted for.
    var storeDifference: Int64 {
        let store = store
        let removed = store.expired &+ store.thinned &+ store.deleted &+ store.merged
        let gone = removed &+ store.quarantined &+ store.lost
        return Int64(truncatingIfNeeded: store.stored) &- Int64(truncatingIfNeeded: store.live &+ gone)
    }

    var isBalanced: Bool { difference == 0 && storeDifference == 0 }

    /// Reads all terms. They move while they are read, so an account that does not add up is read again a few times;
    /// an error in the books stays, a change under way does not.
    static func read(_ context: EndpointContext, attempts: Int = 50) -> SpanAccount {
        var account = once(context)
        for _ in 1..<attempts where !account.isBalanced { account = once(context) }
        return account
    }

    private static func once(_ context: EndpointContext) -> SpanAccount {
        let ledger = context.ledger
        var account = SpanAccount()
        account.received = ledger.spansReceived.load(ordering: .acquiring)
        account.acknowledged = ledger.spansAcknowledged.load(ordering: .acquiring)
        account.duplicate = ledger.spansDuplicate.load(ordering: .acquiring)
        account.rejected = ledger.spansRejected.total
        account.inFlight = ledger.spansInFlight.load(ordering: .acquiring)
        account.store = context.daemon.store()
        return account
    }
}

/// `GET /api/crest/v1/ledger`. Source: schemas/http-api.yaml, "Ledger".
enum LedgerReport {
    static func get(_ call: Call) -> Response {
        let ledger = call.ledger
        let account = SpanAccount.read(call.context)
        let lines = LineAccount(ledger)
        let points = PointAccount(ledger)
        let sources = call.context.datagramSources.account
        var json = JSONWriter()
        json.beginObject()
        json.bool(
            "balanced",
            account.isBalanced && lines.isBalanced && points.isBalanced && sources.difference == 0)
        json.key("spans")
        write(account, ledger, to: &json)
        json.key("lines")
        lines.write(to: &json, ledger)
        json.key("points")
        write(points, ledger, to: &json)
        json.key("datagrams")
        json.beginObject()
        json.number("received", lines.received)
        json.number("handled", lines.handled)
        json.number("truncated", lines.truncated)
        json.number("droppedByKernel", ledger.datagramsDroppedByKernel.load(ordering: .relaxed))
        json.endObject()
        json.key("sources")
        DatagramReport.write(sources, newest: call.context.datagramSources.newest(100), to: &json)
        json.key("requests")
        json.beginObject()
        json.number("received", ledger.requestsReceived.load(ordering: .relaxed))
        json.key("rejected")
        write(ledger.requestsRejected.counts.map { ($0.reason.rawValue, $0.count) }, to: &json)
        json.endObject()
        json.endObject()
        return .json(json.bytes)
    }

    private static func write(_ account: SpanAccount, _ ledger: Ledger, to json: inout JSONWriter) {
        json.beginObject()
        json.number("received", account.received)
        json.number("stored", account.store.stored)
        json.number("storedBefore", account.store.storedBefore)
        json.number("acknowledged", account.acknowledged)
        json.number("duplicate", account.duplicate)
        json.number("inFlight", account.inFlight)
        json.number("truncated", ledger.spansTruncated.load(ordering: .relaxed))
        json.number("repaired", ledger.spansRepaired.load(ordering: .relaxed))
        json.key("rejected")
        write(ledger.spansRejected.counts.map { ($0.reason.rawValue, $0.count) }, to: &json)
        json.number("difference", account.difference)
        let store = account.store
        json.key("store")
        json.beginObject()
        json.number("stored", store.stored)
        json.number("live", store.live)
        json.number("expired", store.expired)
        json.number("thinned", store.thinned)
        json.number("deleted", store.deleted)
        json.number("merged", store.merged)
        json.number("quarantined", store.quarantined)
        json.number("lost", store.lost)
        json.number("difference", account.storeDifference)
        json.endObject()
        json.endObject()
    }

    private static func write(_ account: PointAccount, _ ledger: Ledger, to json: inout JSONWriter) {
        json.beginObject()
        json.number("seen", account.seen)
        json.number("applied", account.applied)
        json.key("rejected")
        write(ledger.pointsRejected.counts.map { ($0.reason.rawValue, $0.count) }, to: &json)
        json.endObject()
    }

    /// Reasons by name, those that never occurred left out.
    static func write(_ counts: [(name: String, count: UInt64)], to json: inout JSONWriter) {
        json.beginObject()
        for reason in counts where reason.count > 0 {
            json.key(escaping: reason.name)
            json.number(reason.count)
        }
        json.endObject()
    }
}

/// OTLP data points: what was seen is applied or refused at once.
private struct PointAccount {
    var seen: UInt64 = 0
    var applied: UInt64 = 0
    var rejected: UInt64 = 0

    init(_ ledger: Ledger, attempts: Int = 50) {
        for _ in 0..<attempts {
            seen = ledger.pointsSeen.load(ordering: .acquiring)
            applied = ledger.pointsApplied.load(ordering: .acquiring)
            rejected = ledger.pointsRejected.total
            if isBalanced { return }
        }
    }

    var isBalanced: Bool { seen == applied &+ rejected }
}

/// Lines and datagrams: nothing of them waits, so what came in is handled or refused at once.
private struct LineAccount {
    var seen: UInt64 = 0
    var applied: UInt64 = 0
    var rejected: UInt64 = 0
    var received: UInt64 = 0
    var handled: UInt64 = 0
    var truncated: UInt64 = 0

    init(_ ledger: Ledger, attempts: Int = 50) {
        for _ in 0..<attempts {
            seen = ledger.linesSeen.load(ordering: .acquiring)
            applied = ledger.linesApplied.load(ordering: .acquiring)
            rejected = ledger.linesRejected.total
            received = ledger.datagramsReceived.load(ordering: .acquiring)
            handled = ledger.datagramsHandled.load(ordering: .acquiring)
            truncated = ledger.datagramsTruncated.load(ordering: .acquiring)
            if isBalanced { return }
        }
    }

    var isBalanced: Bool { seen == applied &+ rejected && received == handled &+ truncated }

    func write(to json: inout JSONWriter, _ ledger: Ledger) {
        json.beginObject()
        json.number("seen", seen)
        json.number("applied", applied)
        json.key("rejected")
        LedgerReport.write(ledger.linesRejected.counts.map { ($0.reason.rawValue, $0.count) }, to: &json)
        json.number("lostAtCrash", ledger.linesLostAtCrash.load(ordering: .relaxed))
        json.number("windowsDropped", ledger.windowsDropped.load(ordering: .relaxed))
        json.endObject()
    }
}
