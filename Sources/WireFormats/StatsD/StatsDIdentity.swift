package import Telemetry

/// The name and the labels of a metric line, taken apart. Read once for each new series, not for each line.
///
/// Five ways to tag a line are known; the field style may stand beside one of the name-side styles, whose tags then
/// come first:
///
///     name:1|c|#k:v,bare     name,k=v:1|c     name#k=v,bare:1|c     name;k=v:1|c     na[k=v]me:1|c
///
/// A key without a value becomes `"true"`. An empty value is left out: a label that is empty is one that is absent.
/// Source: schemas/wire/statsd.md, "Tags".
package struct StatsDIdentity: Hashable, Sendable {
    package var name: [UInt8]
    /// In the order sent; keys may repeat and are not yet sanitised.
    package var labels: [MetricLabel]

    /// - Throws: `emptyName`, `badUTF8` for a name or a key, `badTag` for a tag without a key, `tooManyTags`,
    ///   `noColon` when a `|` stands in the name, which means that the colon belongs to a tag.
    package init(name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer) throws(LineRejection) {
        self.name = []
        self.labels = []
        guard !name.contains(0x7c) else { throw .noColon }
        try readName(name)
        guard !self.name.isEmpty else { throw .emptyName }
        guard isValidUTF8(self.name) else { throw .badUTF8 }
        try readTags(UnsafeRawBufferPointer(rebasing: tags[...]), separator: 0x2c, assignment: 0x3a)
    }

    /// A service check: the gauge `service_check_status` with the label `check`, then its tags.
    /// - Parameter name: `_sc|` and the name of the check, as the reader gives it.
    package init(serviceCheck name: UnsafeRawBufferPointer, tags: UnsafeRawBufferPointer) throws(LineRejection) {
        self.name = Array("service_check_status".utf8)
        let check = Array(name.dropFirst(4))
        labels = [MetricLabel(key: Array("check".utf8), value: repairedUTF8(check))]
        try readTags(UnsafeRawBufferPointer(rebasing: tags[...]), separator: 0x2c, assignment: 0x3a)
    }

    private mutating func readName(_ bytes: UnsafeRawBufferPointer) throws(LineRejection) {
        guard let mark = bytes.firstIndex(where: { $0 == 0x2c || $0 == 0x23 || $0 == 0x3b || $0 == 0x5b }) else {
            name = Array(bytes)
            return
        }
        name = Array(bytes[..<mark])
        var tags = bytes[(mark + 1)...]
        if bytes[mark] == 0x5b {  // [
            guard let close = tags.firstIndex(of: 0x5d) else { throw .badTag }
            name.append(contentsOf: tags[(close + 1)...])
            tags = tags[..<close]
        }
        let separator: UInt8 = bytes[mark] == 0x3b ? 0x3b : 0x2c
        try readTags(UnsafeRawBufferPointer(rebasing: tags), separator: separator, assignment: 0x3d)
    }

    private mutating func readTags(
        _ bytes: UnsafeRawBufferPointer, separator: UInt8, assignment: UInt8
    ) throws(LineRejection) {
        for tag in bytes.split(separator: separator) {
            let mark = tag.firstIndex(of: assignment) ?? tag.endIndex
            let key = Array(tag[..<mark])
            guard !key.isEmpty else { throw .badTag }
            guard isValidUTF8(key) else { throw .badUTF8 }
            guard labels.count < Limits.tagsPerLine else { throw .tooManyTags }
            guard mark < tag.endIndex else {
                labels.append(MetricLabel(key: key, value: Array("true".utf8)))
                continue
            }
            let value = Array(tag[(mark + 1)...])
            if !value.isEmpty { labels.append(MetricLabel(key: key, value: repairedUTF8(value))) }
        }
    }
}

private func isValidUTF8(_ bytes: [UInt8]) -> Bool {
    bytes.allSatisfy { $0 < 0x80 } || String(validating: bytes, as: UTF8.self) != nil
}

/// The bytes with every invalid sequence replaced by U+FFFD.
private func repairedUTF8(_ bytes: [UInt8]) -> [UInt8] {
    isValidUTF8(bytes) ? bytes : Array(String(decoding: bytes, as: UTF8.self).utf8)
}
