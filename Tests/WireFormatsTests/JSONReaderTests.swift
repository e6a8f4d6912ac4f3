import Telemetry
import Testing
import WireFormats

@Suite("JSON reader")
struct JSONReaderTests {
    /// Skips the one value of `text`; nil when all went well.
    private func failure(_ text: [UInt8]) -> WireError? {
        text.withUnsafeBytes { bytes -> WireError? in
            var json = JSONReader(bytes)
            do throws(WireError) {
                try json.skipValue()
                try json.finish()
                return nil
            } catch { return error }
        }
    }

    private func read<Value>(_ text: String, _ body: (inout JSONReader) throws(WireError) -> Value) throws -> Value {
        try Array(text.utf8).withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            let value = try body(&json)
            try json.finish()
            return value
        }
    }

    @Test(
        "Accepts every kind of value",
        arguments: [
            "0", "-0", "10", "-1.5e+30", "1E2", "0.0001", "true", "false", "null", "\"\"", "\"a\\u00e9\\n\\/\"", "[]",
            "{}", " [ 1 , [ ] , { } ] ", "{\"a\":{\"b\":[1,2,{\"c\":null}]},\"a\":\"again\"}", "\"日本語😀\"",
            "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\t\r\n 1 \n",
        ])
    func accepts(text: String) {
        #expect(failure(Array(text.utf8)) == nil, "\(text)")
    }

    @Test(
        "Rejects what RFC 8259 does not allow, at the right byte",
        arguments: [
            ("", 0), ("[", 1), ("[1", 2), ("[1,]", 3), ("[,1]", 1), ("[1 2]", 3), ("{", 1), ("{\"a\"}", 4),
            ("{\"a\":}", 5), ("{\"a\":1,}", 7), ("{a:1}", 1), ("{1:1}", 1), ("01", 1), ("-", 1), ("1.", 2), (".5", 0),
            ("1e", 2), ("+1", 0), ("tru", 0), ("nulL", 0), ("\"", 1), ("\"\\x\"", 2), ("\"\\u12g4\"", 5),
            ("\"\\u12", 5), ("\"a\nb\"", 2), ("1 1", 2), ("[1]]", 3), ("[1}", 2), ("{\"a\":1]", 6), ("NaN", 0),
            ("'a'", 0), ("\u{feff}1", 0),
        ])
    func rejects(text: String, offset: Int) {
        #expect(failure(Array(text.utf8))?.offset == offset, "\(text)")
    }

    @Test(
        "Rejects bytes that are not UTF-8",
        arguments: [
            [0x80], [0xc0, 0x80], [0xc3], [0xe0, 0x80, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xff],
            [0xe2, 0x82], [0xf5, 0x80, 0x80, 0x80],
        ] as [[UInt8]])
    func invalidUTF8(bytes: [UInt8]) {
        for padding in 0..<20 {
            let text = [0x22] + [UInt8](repeating: 0x61, count: padding) + bytes + [0x22]
            #expect(failure(text)?.kind == .invalidUTF8)
            #expect(failure(text)?.offset == padding + 1)
        }
    }

    @Test("Finds the end of a string wherever the quote or the escape falls")
    func everyAlignment() throws {
        for length in 0..<40 {
            let plain = String(repeating: "x", count: length)
            #expect(try read("\"\(plain)\"") { json throws(WireError) in try json.readString().text } == plain)
            let escaped = try read("\"\(plain)\\\"é\\u0041\"") { json throws(WireError) in try json.readString().text }
            #expect(escaped == plain + "\"éA")
        }
    }

    @Test("Unescapes everything, lone surrogates to U+FFFD")
    func escapes() throws {
        let text = try read(#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00\ud83dx\ude00\ud83d\u0041""#) {
            json throws(WireError) in try json.readString().text
        }
        #expect(text == "\"\\/\u{8}\u{c}\n\r\té😀\u{FFFD}x\u{FFFD}\u{FFFD}A")
    }

    @Test("Reads 64-bit integers exactly, as numbers and as strings")
    func integers() throws {
        let cases: [(String, Int64?)] = [
            ("9223372036854775807", .max), ("-9223372036854775808", .min), ("9223372036854775808", nil),
            ("-9223372036854775809", nil), ("\"-42\"", -42), ("9007199254740993", 9_007_199_254_740_993),
            ("1.5", nil), ("2.0", 2), ("1e3", 1_000), ("\"\"", nil), ("\"x\"", nil), ("true", nil), ("-0", 0),
        ]
        for (text, value) in cases {
            let read = try? read(text) { json throws(WireError) in try json.readInt64() }
            #expect(read == value, "\(text)")
        }
        #expect(try read("18446744073709551615") { json throws(WireError) in try json.readUInt64() } == .max)
        #expect(throws: (any Error).self) { try read("-1") { json throws(WireError) in try json.readUInt64() } }
        #expect(throws: (any Error).self) { try read("1e400") { json throws(WireError) in try json.readDouble() } }
        #expect(try read("\"-Infinity\"") { json throws(WireError) in try json.readDouble() } == -.infinity)
    }

    @Test("Nests to the limit and no further, whatever opens")
    func nesting() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            for depth in [1, Limits.nestingDepth, Limits.nestingDepth + 1, 100_000] {
                let text = String(repeating: open, count: depth) + "1" + String(repeating: close, count: depth)
                let kind = failure(Array(text.utf8))?.kind
                #expect(kind == (depth > Limits.nestingDepth ? .nesting : nil), "\(open) \(depth)")
            }
        }
    }

    @Test("A document cut anywhere throws")
    func everyCut() {
        let text = Array(#"{"a":[1,-2.5e3,"x\u00e9\n",true,false,null,{"b":{}}],"日":""}"#.utf8)
        #expect(failure(text) == nil)
        for length in 0..<text.count { #expect(failure(Array(text[..<length])) != nil, "\(length)") }
    }

    @Test("Base64 in both alphabets, padded or not")
    func base64() {
        func decoded(_ text: String) -> [UInt8]? { Array(text.utf8).withUnsafeBytes { base64Decoded($0) } }
        #expect(decoded("") == [])
        #expect(decoded("AP8=") == [0, 255])
        #expect(decoded("AP8") == [0, 255])
        #expect(decoded("-_-_") == decoded("+/+/"))
        for text in ["A", "A===", "AP8=x", "AP=8", "A P8", "AAAAA", "==", "AP8=="] {
            #expect(decoded(text) == nil, "\(text)")
        }
        for count in 0..<20 {
            let bytes = (0..<UInt8(count)).map { $0 &* 37 }
            #expect(decoded(AttributeText.base64(bytes)) == bytes)
        }
    }
}
