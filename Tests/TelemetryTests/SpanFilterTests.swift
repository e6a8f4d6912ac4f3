import Telemetry
import Testing

@Suite("Span filters")
struct SpanFilterTests {
    let span = SpanBatchTests.record(3)

    private func matches(_ configure: (inout SpanFilter) -> Void) -> Bool {
        var filter = SpanFilter()
        configure(&filter)
        return filter.matches(span)
    }

    @Test("Conditions that hold")
    func accepted() {
        #expect(matches { _ in })
        #expect(matches { $0.service = "order" })
        #expect(matches { $0.operation = "op 3" })
        #expect(matches { $0.minDuration = 1_000 })
        #expect(matches { $0.maxDuration = 1_000 })
        #expect(
            matches {
                $0.earliestStart = 1_003; $0.latestStart = 1_003
            })
        #expect(matches { $0.error = true })
        #expect(matches { $0.kind = .server })
        for tag in [
            ("s", "x"), ("s", "again"), ("i", "-9223372036854775808"), ("d", "-0.5"), ("b", "false"), ("y", "AQID"),
            ("error", "true"), ("span.kind", "server"), ("otel.status_code", "ERROR"), ("service.name", "order"),
            ("event", "retry"), ("otel.scope.name", "lib"),
        ] {
            #expect(matches { $0.tags = [.init(tag.0, tag.1)] }, "\(tag)")
            #expect(matches { $0.tags = [.init(tag.0, nil)] }, "\(tag.0) present")
        }
    }

    @Test("Conditions that do not hold")
    func refused() {
        #expect(!matches { $0.service = "Order" })
        #expect(!matches { $0.operation = "op" })
        #expect(!matches { $0.minDuration = 1_001 })
        #expect(!matches { $0.maxDuration = 999 })
        #expect(!matches { $0.earliestStart = 1_004 })
        #expect(!matches { $0.latestStart = 1_002 })
        #expect(!matches { $0.error = false })
        #expect(!matches { $0.tags = [.init("s", "y")] })
        #expect(!matches { $0.tags = [.init("s", "x"), .init("missing", nil)] })
    }

    @Test("Text of values")
    func text() {
        #expect(AttributeText.text(.double(3)) == "3")
        #expect(AttributeText.text(.double(0.1)) == "0.1")
        #expect(AttributeText.text(.bytes([])) == "")
        #expect(AttributeText.base64([0xff]) == "/w==" && AttributeText.base64([0xff, 0xfe]) == "//4=")
        #expect(AttributeText.text(SpanBatchTests.nested) == #"{"list":[-1,2.5,true,null,"AP8="],"text":"naïve"}"#)
        #expect(AttributeText.text(.array([.string("a\"\n\u{1}")])) == #"["a\"\n\u0001"]"#)
    }

    @Test("Reason counters count by reason")
    func reasons() {
        let ledger = Ledger()
        ledger.spansRejected.add(2, .zeroTraceID)
        ledger.spansRejected.add(1, .busy)
        #expect(ledger.spansRejected.total == 3)
        #expect(ledger.spansRejected.counts.first { $0.reason == .zeroTraceID }?.count == 2)
    }
}
