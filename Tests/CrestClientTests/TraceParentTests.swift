import CrestClient
import Testing

@Suite struct TraceParentTests {
    private static let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    @Test("The standard's example is read and written back")
    func roundTrip() {
        let parent = TraceParent(Self.good)
        #expect(parent?.traceID == TraceID(high: 0x4bf9_2f35_77b3_4da6, low: 0xa3ce_929d_0e0e_4736))
        #expect(parent?.spanID == SpanID(0x00f0_67aa_0ba9_02b7))
        #expect(parent?.flags == 1)
        #expect(parent?.description == Self.good)
    }

    @Test(
        "Accepted",
        arguments: [
            good, "00-00000000000000000000000000000001-0000000000000001-00",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes-later",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff",
        ])
    func accepted(header: String) { #expect(TraceParent(header) != nil) }

    @Test(
        "Refused",
        arguments: [
            "", "00", "00-", good + "0", good + "-00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-é4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ])
    func refused(header: String) { #expect(TraceParent(header) == nil) }

    @Test("Cut at any length it is refused, and with any byte changed it never traps")
    func cutAndFlip() {
        let bytes = Array(Self.good.utf8)
        for length in 0..<bytes.count {
            #expect(TraceParent(String(decoding: bytes[..<length], as: UTF8.self)) == nil, "length \(length)")
        }
        for index in bytes.indices {
            for bit in 0..<8 {
                var changed = bytes
                changed[index] ^= 1 << bit
                let parent = TraceParent(String(decoding: changed, as: UTF8.self))
                #expect(parent == nil || parent?.traceID.isValid == true)
            }
        }
    }

    @Test("Ids print with their leading zeros")
    func identifiers() {
        #expect(TraceID(high: 0, low: 0xAB).description == "000000000000000000000000000000ab")
        #expect(SpanID(.max).description == "ffffffffffffffff")
        let stuck = IdentifierSource { 0 }
        #expect(stuck.traceID().isValid && stuck.spanID().isValid)
    }
}
