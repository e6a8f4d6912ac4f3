internal import WireFormats

/// The sources of Crest datagrams in `GET /api/crest/v1/ledger`.
enum DatagramReport {
    static func write(_ account: DatagramAccount, newest: [DatagramSource], to json: inout JSONWriter) {
        json.beginObject()
        writeItems(account, to: &json)
        json.number("taken", account.datagrams)
        json.number("missing", account.missing)
        json.number("reordered", account.reordered)
        json.key("rejected")
        LedgerReport.write(account.rejected.map { ($0.reason.rawValue, $0.count) }, to: &json)
        json.number("joined", account.joined)
        json.number("forgotten", account.forgotten)
        json.key("newest")
        json.beginArray()
        for source in newest { write(source, to: &json) }
        json.endArray()
        json.endObject()
    }

    private static func write(_ source: DatagramSource, to json: inout JSONWriter) {
        json.beginObject()
        json.string("source", hex(source.source))
        json.string("epoch", String(source.epoch))
        json.number("sequence", source.sequence)
        json.string("heard", String(source.heard))
        writeItems(source.account, to: &json)
        json.number("missing", source.account.missing)
        json.number("reordered", source.account.reordered)
        json.endObject()
    }

    private static func writeItems(_ account: DatagramAccount, to json: inout JSONWriter) {
        json.number("produced", account.produced)
        json.number("received", account.received)
        json.number("lost", account.lost)
        json.number("droppedInClient", account.droppedInClient)
        json.number("difference", account.difference)
    }

    private static func hex(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
