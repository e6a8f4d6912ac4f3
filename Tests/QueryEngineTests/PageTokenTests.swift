import QueryEngine
import Telemetry
import Testing

@Suite struct PageTokenTests {
    private let token = PageToken(
        order: .longestFirst, fingerprint: 0xfeed, key: .init(value: .max, traceID: TraceID(high: 1, low: 0xab)))

    @Test("The text reads back, and has the documented form")
    func roundTrip() {
        #expect(
            token.text == "0102" + "000000000000feed" + "ffffffffffffffff" + "000000000000000100000000000000ab")
        #expect(PageToken(text: token.text) == token)
    }

    @Test("Every cut and every wrong digit is refused or is another token")
    func cutsAndFlips() {
        let text = Array(token.text.utf8)
        for length in 0..<text.count {
            #expect(PageToken(text: String(decoding: text.prefix(length), as: UTF8.self)) == nil)
        }
        for index in text.indices {
            for digit in ["g", "-", " ", "0", "9"] {
                var changed = text
                changed[index] = Array(digit.utf8)[0]
                let other = PageToken(text: String(decoding: changed, as: UTF8.self))
                #expect(other == nil || other == token || changed != text)
            }
        }
        #expect(PageToken(text: token.text + "0") == nil)
        #expect(PageToken(text: "") == nil)
        #expect(PageToken(text: "zzz") == nil)
    }

    @Test("The fingerprint is the same in every process and differs with every condition")
    func fingerprint() {
        #expect(SpanFilter.fingerprint(of: []) == 0xcbf2_9ce4_8422_2325)
        var filters = [SpanFilter()]
        let changes: [(inout SpanFilter) -> Void] = [
            { $0.service = "a" }, { $0.operation = "a" }, { $0.kind = .server }, { $0.minDuration = 1 },
            { $0.maxDuration = 1 }, { $0.earliestStart = 1 }, { $0.latestStart = 1 }, { $0.error = true },
            { $0.error = false }, { $0.tags = [.init("a", "b")] }, { $0.tags = [.init("a", nil)] },
            { $0.tags = [.init("ab", "")] }, { $0.tenant = "b" },
        ]
        for change in changes {
            var filter = SpanFilter()
            change(&filter)
            filters.append(filter)
        }
        let prints = Set(filters.map { SpanFilter.fingerprint(of: [$0]) })
        #expect(prints.count == filters.count)
    }
}
