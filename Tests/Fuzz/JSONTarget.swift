internal import WireFormats

/// The JSON reader and writer: what was read and is written again reads as the same.
extension FuzzTarget {
    static let json = FuzzTarget(
        name: "json",
        seeds: {
            let texts = [
                #"{"a":[1,-2.5e+3,"x\u00e9\n\ud83d\ude00",true,false,null,{"b":{},"c":[]}],"日":""}"#, "[]", "0", "\"\"",
                #"["\"\\\/\b\f\n\r\t",1E2,0.5,[[[[]]]],{"k":{"k":{"k":9007199254740993}}}]"#,
            ]
            return texts.map { Array($0.utf8) }
        },
        check: { input in
            guard let first = copy(input) else { return nil }
            guard let second = copy(first) else { return "what was written is refused" }
            return first == second ? nil : "what was written reads differently"
        })
}

/// Reads a document value by value and writes it again; nil when it is refused.
private func copy(_ input: [UInt8]) -> [UInt8]? {
    input.withUnsafeBytes { bytes in
        var (json, copy) = (JSONReader(bytes), JSONWriter())
        do throws(WireError) {
            try copyValue(&json, to: &copy)
            try json.finish()
            return copy.bytes
        } catch {
            precondition((0...input.count).contains(error.offset), "offset \(error.offset) of \(input.count)")
            return nil
        }
    }
}

/// The reader bounds how deeply this nests.
private func copyValue(_ json: inout JSONReader, to copy: inout JSONWriter) throws(WireError) {
    switch try json.peek() {
    case UInt8(ascii: "{"):
        try json.beginObject()
        copy.beginObject()
        while let key = try json.nextKey() {
            copy.key(escaping: key.text)
            try copyValue(&json, to: &copy)
        }
        copy.endObject()
    case UInt8(ascii: "["):
        try json.beginArray()
        copy.beginArray()
        while try json.nextElement() { try copyValue(&json, to: &copy) }
        copy.endArray()
    case UInt8(ascii: "\""): copy.string(try json.readString().text)
    case UInt8(ascii: "t"), UInt8(ascii: "f"): copy.bool(try json.readBool())
    case UInt8(ascii: "n"):
        _ = try json.readNull()
        copy.null()
    default: copy.raw(Array(try json.readNumber().raw))
    }
}
