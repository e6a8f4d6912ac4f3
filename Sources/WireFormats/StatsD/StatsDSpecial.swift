internal import Telemetry

extension StatsDReader {
    /// An event or a service check, or nil when the line is an ordinary one that starts with an underscore.
    mutating func readSpecial(_ bytes: UnsafePointer<UInt8>, _ start: Int, _ end: Int) -> StatsDOutcome? {
        let line = UnsafeRawBufferPointer(start: bytes + start, count: end - start)
        if line.starts(with: "_e{".utf8) { return isEvent(line) ? .event : .rejected(.badValue) }
        if line.starts(with: "_sc|".utf8) { return readServiceCheck(line) ? .serviceCheck : .rejected(.badValue) }
        return nil
    }

    /// `_e{` title bytes `,` text bytes `}:` title `|` text, then fields that are not read.
    private func isEvent(_ line: UnsafeRawBufferPointer) -> Bool {
        var offset = 3
        func readCount() -> Int? {
            let first = offset
            var count = 0
            while offset < line.count, line[offset] &- 0x30 < 10, offset - first < 6 {
                count = count * 10 + Int(line[offset] - 0x30)
                offset += 1
            }
            return offset > first ? count : nil
        }
        guard let titleBytes = readCount(), offset < line.count, line[offset] == 0x2c else { return false }
        offset += 1
        guard let textBytes = readCount(), offset + 1 < line.count, line[offset] == 0x7d, line[offset + 1] == 0x3a
        else { return false }
        offset += 2 + titleBytes
        guard titleBytes > 0, offset < line.count, line[offset] == 0x7c else { return false }
        offset += 1 + textBytes
        return offset == line.count || offset < line.count && line[offset] == 0x7c
    }

    /// `_sc|` name `|` status 0-3, then fields, of which the tags are read. The message may hold anything but a `|`.
    private mutating func readServiceCheck(_ line: UnsafeRawBufferPointer) -> Bool {
        let rest = line[4...]
        guard let bar = rest.firstIndex(of: 0x7c), bar > 4, bar + 1 < line.count else { return false }
        let status = line[bar + 1]
        guard status >= 0x30, status <= 0x33, bar + 2 == line.count || line[bar + 2] == 0x7c else { return false }
        name = UnsafeRawBufferPointer(rebasing: line[..<bar])
        tags = UnsafeRawBufferPointer(start: nil, count: 0)
        for field in line[(bar + 2)...].split(separator: 0x7c) where field.first == 0x23 {
            tags = UnsafeRawBufferPointer(rebasing: field.dropFirst())
            break
        }
        setStatus(Double(status - 0x30))
        return true
    }
}
