import Telemetry
import Testing

@Suite("Trace and span ids")
struct IdentifierTests {
    @Test("1 to 32 digits in either case are read as if padded on the left")
    func accepted() {
        #expect(TraceID(hex: "1") == TraceID(high: 0, low: 1))
        #expect(TraceID(hex: "0AF7651916CD43DD8448EB211C80319C")?.hex32 == "0af7651916cd43dd8448eb211c80319c")
        #expect(TraceID(hex: "10000000000000000")?.high == 1)
        #expect(SpanID(hex: "b7ad6b7169203331")?.hex == "b7ad6b7169203331")
        #expect(SpanID(hex: "f")?.value == 15)
    }

    @Test("Everything else is refused", arguments: ["", "g", "0x1", " 1", "-1", String(repeating: "0", count: 33)])
    func refused(text: String) {
        #expect(TraceID(hex: text) == nil)
        #expect(SpanID(hex: text) == nil)
    }

    @Test("Short form: 16 digits when the high half is zero, else 32, never trimmed")
    func shortForm() {
        #expect(TraceID(high: 0, low: 255).hexShort == "00000000000000ff")
        #expect(TraceID(high: 1, low: 0).hexShort == "00000000000000010000000000000000")
    }

    @Test("Order is numeric over both halves")
    func order() {
        let ids = [TraceID(high: 0, low: 1), TraceID(high: 0, low: .max), TraceID(high: 1, low: 0)]
        #expect(ids.shuffled().sorted() == ids)
    }
}
