extension ProtobufCursor {
    /// Visits the messages of one repeated field, in order, to the end of this message.
    /// - Parameters:
    ///   - name: of the field, for the place of an error.
    ///   - isChecked: the other fields were read by another pass; else one with the field's number and another wire type
    ///     is an error.
    @inline(__always)
    mutating func forEachMessage(
        _ field: UInt32, _ name: StaticString, isChecked: Bool,
        _ body: (_ index: Int, _ message: ProtobufCursor) throws(WireError) -> Void
    ) throws(WireError) {
        var index = 0
        while !isAtEnd {
            let tag = try readTag()
            guard tag == bytesTag(field) else {
                if isChecked { try pass(tag) } else { try skip(tag, known: 1 << field) }
                continue
            }
            let message = try readMessage()
            do { try body(index, message) } catch { throw error.within("\(name)[\(index)]") }
            index += 1
        }
    }
}
