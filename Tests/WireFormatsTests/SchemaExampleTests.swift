import Foundation
import Telemetry
import Testing
import WireFormats

/// The examples that the pages of schemas/wire name.
@Suite("Examples in schemas")
struct SchemaExampleTests {
    private func vector(_ path: String) throws -> [UInt8] {
        let root = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        return Array(try Data(contentsOf: root.appending(path: "schemas/vectors/" + path)))
    }

    @Test("OTLP JSON with every field is the same text after a round trip, through protobuf too")
    func otlp() throws {
        let text = String(decoding: try vector("otlp/every-field.json"), as: UTF8.self)
        let spans = try Decode.otlpJSON(text).records()
        #expect(String(decoding: encodeOTLPTracesJSON(spans), as: UTF8.self) + "\n" == text)
        #expect(try Decode.otlp(encodeOTLPTraces(spans)).records() == spans)
    }

    @Test("Zipkin JSON with every field is the same text after a round trip")
    func zipkin() throws {
        let text = String(decoding: try vector("zipkin/every-field.json"), as: UTF8.self)
        #expect(String(decoding: encodeZipkinJSON(try Decode.zipkin(text).records()), as: UTF8.self) + "\n" == text)
    }
}
