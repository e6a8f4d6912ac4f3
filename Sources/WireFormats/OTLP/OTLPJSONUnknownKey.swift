/// The first key of a JSON request that holds none of the known ones: most likely the sender's fields have other names
/// (`resource_spans`) or it is another message. Nil when the request is empty or holds `known`.
///
/// For a body that was decoded already, and to nothing: unknown fields must be ignored, but who sends nothing else
/// should be told. - Source: schemas/wire/otlp.md, "Answers".
package func unknownOTLPKey(_ body: UnsafeRawBufferPointer, known: StaticString) -> String? {
    var json = JSONReader(body)
    var first: String?
    do throws(WireError) {
        try json.beginObject()
        while let key = try json.nextKey() {
            if key.equals(known) { return nil }
            if first == nil { first = String(key.text.prefix(64)) }
            try json.skipValue()
        }
    } catch { return nil }
    return first
}
