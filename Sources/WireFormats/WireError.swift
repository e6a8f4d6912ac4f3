/// Why a body could not be decoded, and where. Common to all span decoders and to the two grammars below them.
///
/// The whole body is refused; defects of single spans are counted in ``DecodedSpans/rejected`` instead.
package struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The reason. The raw value is the text of ``description``.
    package enum Kind: String, Hashable, Sendable {
        // Both grammars
        case truncated = "the body ends too early"
        case invalidUTF8 = "invalid UTF-8"
        case nesting = "nested too deeply"
        // Protobuf
        case varint = "a varint of more than 64 bits"
        case fieldNumber = "field number out of range"
        case wireType = "wrong wire type for this field"
        case length = "a length beyond the end of its message"
        case group = "unbalanced group"
        case symbol = "a symbol that is not in the table"
        case symbols = "more symbols than are taken"
        case writeVersion1 = "a field of remote write 1.0, where the content type says 2.0"
        case writeVersion2 = "a field of remote write 2.0, where the content type says 1.0"
        // JSON
        case unexpectedByte = "unexpected character"
        case control = "control character in a string"
        case escape = "invalid escape"
        case number = "invalid number"
        case range = "number out of range"
        case base64 = "invalid base64"
        case identifier = "an id has something else than hexadecimal digits"
        case object = "expected an object"
        case array = "expected an array"
        case string = "expected a string"
        case integer = "expected an integer"
        case float = "expected a number"
        case boolean = "expected true or false"
        case trailing = "something follows the JSON value"
        // Zipkin
        case zipkinKind = "expected CLIENT, SERVER, PRODUCER or CONSUMER"
        case zipkinList = "Expected a JSON_V2 encoded list"
        case zipkinVersion1 = "Expected a JSON_V2 encoded list, but received: JSON_V1"
        case zipkinListVersion1 = "Expected a JSON_V1 encoded list"
        case zipkinVersion2 = "Expected a JSON_V1 encoded list, but received: JSON_V2"
        // Thrift
        case thriftType = "no type of thrift"
        case thriftList = "expected a list of structs"
        case thriftMessage = "expected a thrift message emitBatch or emitZipkinBatch"
    }

    /// Bytes from the start of the body to the first bad one.
    package var offset: Int
    package var kind: Kind
    /// What was being read, outermost first: `resourceSpans[0].scopeSpans[0].spans[3].name`. May be empty.
    package var path: String

    package init(_ kind: Kind, at offset: Int, path: String = "") {
        self.offset = offset
        self.kind = kind
        self.path = path
    }

    /// The same error seen from one level further out.
    package func within(_ place: String) -> WireError {
        let separator = path.isEmpty || path.utf8.first == UInt8(ascii: "[") ? "" : "."
        return WireError(kind, at: offset, path: place + separator + path)
    }

    /// Place and reason: `resourceSpans[0].resource, byte 17: invalid UTF-8`.
    package var description: String {
        let place = path.isEmpty ? "" : path + ", "
        return "\(place)byte \(offset): \(kind.rawValue)"
    }
}
