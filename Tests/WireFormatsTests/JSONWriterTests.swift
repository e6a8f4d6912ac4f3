import Testing
import WireFormats

@Suite("JSON writer")
struct JSONWriterTests {
    private func text(indent: Int = 0, _ body: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter(indent: indent)
        body(&json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    private func sample(_ json: inout JSONWriter) {
        json.beginObject()
        json.string("name", "a\"b")
        json.key("list")
        json.beginArray()
        json.number(1)
        json.bool(true)
        json.null()
        json.beginArray()
        json.endArray()
        json.endArray()
        json.key(escaping: "k\n")
        json.beginObject()
        json.endObject()
        json.number("double", 0.5)
        json.endObject()
    }

    @Test("Commas stand between values and nowhere else")
    func commas() {
        #expect(text(sample) == #"{"name":"a\"b","list":[1,true,null,[]],"k\n":{},"double":0.5}"#)
    }

    @Test("Indented text is the same document")
    func indented() {
        let expected = """
            {
              "name": "a\\"b",
              "list": [
                1,
                true,
                null,
                []
              ],
              "k\\n": {},
              "double": 0.5
            }
            """
        #expect(text(indent: 2, sample) == expected)
    }

    @Test("Every byte below 0x20, quotes and backslashes are escaped; the reader gives the text back")
    func escapes() throws {
        let scalars = (0..<0x100).compactMap { Unicode.Scalar(UInt32($0)) }
        for scalar in scalars + ["\u{2028}", "😀"] {
            let original = "a\(Character(scalar))b\(Character(scalar))"
            let written = text { $0.string(original) }
            #expect(!written.utf8.contains { $0 < 0x20 })
            let read = try Array(written.utf8).withUnsafeBytes { bytes in
                var json = JSONReader(bytes)
                return try json.readString().text
            }
            #expect(read == original, "\(scalar.value)")
        }
    }

    @Test("Numbers at their limits, and doubles JSON has no number for")
    func numbers() {
        #expect(text { $0.number(Int64.min) } == "-9223372036854775808")
        #expect(text { $0.number(UInt64.max) } == "18446744073709551615")
        #expect(text { $0.number(Double.nan) } == "\"NaN\"")
        #expect(text { $0.number(-Double.infinity) } == "\"-Infinity\"")
        #expect(text { $0.number(1e300) } == "1e+300")
    }
}
