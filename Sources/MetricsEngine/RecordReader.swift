internal import Bytes

/// A record of the log that breaks its format.
enum RecordFault: Error {
    case malformed
}

/// Reads the fields that log records are made of; throws for whatever does not fit, traps for nothing.
struct RecordReader: ~Escapable {
    private var bytes: ByteReader
    private let seriesCount: Int

    @_lifetime(copy bytes)
    init(_ bytes: consuming ByteReader, seriesCount: Int = 0) {
        self.bytes = bytes
        self.seriesCount = seriesCount
    }

    var isAtEnd: Bool { bytes.isAtEnd }

    @_lifetime(self: copy self)
    mutating func unsigned() throws(RecordFault) -> UInt64 {
        do { return try bytes.readVarint() } catch { throw .malformed }
    }

    @_lifetime(self: copy self)
    mutating func signed() throws(RecordFault) -> Int64 { zigzagDecoded(try unsigned()) }

    /// A number of items of at least one byte each.
    @_lifetime(self: copy self)
    mutating func count() throws(RecordFault) -> Int {
        let value = try unsigned()
        guard value <= UInt64(bytes.remaining) else { throw .malformed }
        return Int(value)
    }

    @_lifetime(self: copy self)
    mutating func byte() throws(RecordFault) -> UInt8 {
        do { return try bytes.read(UInt8.self) } catch { throw .malformed }
    }

    @_lifetime(self: copy self)
    mutating func double() throws(RecordFault) -> Double {
        do { return Double(bitPattern: try bytes.read(UInt64.self)) } catch { throw .malformed }
    }

    @_lifetime(self: copy self)
    mutating func weight() throws(RecordFault) -> Double {
        let value = try unsigned()
        return value & 1 == 0 ? Double(value >> 1) : try double()
    }

    @_lifetime(self: copy self)
    mutating func text() throws(RecordFault) -> [UInt8] {
        let size = try count()
        do { return try bytes.readBytes(size) } catch { throw .malformed }
    }

    /// Passes over a number of bytes that stands before them.
    @_lifetime(self: copy self)
    mutating func skipText() throws(RecordFault) {
        let size = try count()
        do { _ = try bytes.skip(size) } catch { throw .malformed }
    }

    @_lifetime(self: copy self)
    mutating func string() throws(RecordFault) -> String { String(decoding: try text(), as: UTF8.self) }

    @_lifetime(self: copy self)
    mutating func series(_ last: inout UInt64) throws(RecordFault) -> UInt32 {
        try series(step: try unsigned(), &last)
    }

    /// The series `step` after `last`, when there is such a one.
    func series(step: UInt64, _ last: inout UInt64) throws(RecordFault) -> UInt32 {
        let (series, overflow) = last.addingReportingOverflow(step)
        guard !overflow, series < UInt64(seriesCount) else { throw .malformed }
        last = series
        return UInt32(truncatingIfNeeded: series)
    }
}
