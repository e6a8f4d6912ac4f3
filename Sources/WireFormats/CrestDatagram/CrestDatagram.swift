package import Bytes

/// What a Crest datagram brings.
package enum CrestDatagramSignal: UInt8, Hashable, Sendable {
    /// Nothing but the counts.
    case report = 0
    /// An OTLP `ExportTraceServiceRequest` in protobuf.
    case spans = 1
    /// Metric lines, as on the StatsD port.
    case lines = 2
}

/// The head of a Crest datagram: whose it is and what its source has counted.
///
///     | "CRST" | version u8 | flags u8 | signal u8 | 0 | source u64 | epoch u64 | sequence u64 |
///     | produced u64 | dropped u64 | time u64 | items u32 | plainBytes u32 | crc32c u32 | payload ... | tag 16 |
///
/// Little-endian. Source: schemas/wire/crest-datagram.md, "Layout".
package struct CrestDatagramHead: Hashable, Sendable {
    package var signal = CrestDatagramSignal.report
    /// A random number of the sender, never 0.
    package var source: UInt64 = 0
    /// When the source began to count: unix nanoseconds. With ``source`` it names one life of one sender.
    package var epoch: UInt64 = 0
    /// 1 for the first datagram of the epoch.
    package var sequence: UInt64 = 0
    /// Items up to this datagram: those in it, those in all before it, and ``dropped``.
    package var produced: UInt64 = 0
    /// Of these, the ones that the client dropped instead of sending.
    package var dropped: UInt64 = 0
    /// When the datagram was made: unix nanoseconds.
    package var time: UInt64 = 0
    /// Items in the payload.
    package var items: UInt32 = 0

    package init() {}

    package static let headBytes = 68
    package static let tagBytes = 16

    /// Items that were put into datagrams, this one included.
    package var sent: UInt64 { produced &- dropped }
}

/// A decoded datagram. The ranges are offsets into the bytes it was decoded from.
package struct CrestDatagram: Hashable, Sendable {
    package var head: CrestDatagramHead
    /// The payload as it was sent.
    package var payload: Range<Int>
    package var isCompressed: Bool
    /// Bytes of the payload when it is inflated.
    package var plainBytes: Int
    /// The authentication tag, which is over all bytes before it; nil when there is none.
    package var tag: Range<Int>?
}

/// Why bytes are no Crest datagram, and where.
package struct CrestDatagramError: Error, Hashable, Sendable {
    /// The raw value is a reason of `crest_datagram_rejected_total`.
    package enum Kind: String, Hashable, Sendable {
        /// Not ours at all, or too short to tell.
        case malformed
        /// A version or a signal that this one does not know.
        case version
        case checksum
    }
    package let kind: Kind
    package let offset: Int

    package init(kind: Kind, offset: Int) {
        self.kind = kind
        self.offset = offset
    }
}

/// Reads a datagram without copying its payload.
/// - Parameter limit: of ``CrestDatagram/plainBytes``.
/// - Source: schemas/wire/crest-datagram.md, "Validity".
package func decodeCrestDatagram(
    _ bytes: UnsafeRawBufferPointer, limit: Int
) throws(CrestDatagramError) -> CrestDatagram {
    func check(_ isTrue: Bool, _ offset: Int, _ kind: CrestDatagramError.Kind = .malformed) throws(CrestDatagramError) {
        guard isTrue else { throw CrestDatagramError(kind: kind, offset: offset) }
    }
    func word<Word: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: Word.Type) -> Word {
        Word(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: type))
    }
    let headBytes = CrestDatagramHead.headBytes
    try check(bytes.count >= headBytes, bytes.count)
    try check(word(0, UInt32.self) == magic, 0)
    try check(bytes[4] == version, 4, .version)
    let flags = bytes[5]
    try check(flags & ~(Flag.compressed | Flag.tagged) == 0, 5, .version)
    let tagBytes = flags & Flag.tagged != 0 ? CrestDatagramHead.tagBytes : 0
    try check(bytes.count >= headBytes + tagBytes, bytes.count)
    let payload = headBytes..<bytes.count - tagBytes
    var crc = crc32c(UnsafeRawBufferPointer(rebasing: bytes[..<checksumOffset]))
    crc = crc32c(UnsafeRawBufferPointer(rebasing: bytes[payload]), continuing: crc)
    try check(word(checksumOffset, UInt32.self) == crc, checksumOffset, .checksum)
    guard let signal = CrestDatagramSignal(rawValue: bytes[6]) else {
        throw CrestDatagramError(kind: .version, offset: 6)
    }
    try check(bytes[7] == 0, 7, .version)
    var head = CrestDatagramHead()
    head.signal = signal
    head.source = word(8, UInt64.self)
    head.epoch = word(16, UInt64.self)
    head.sequence = word(24, UInt64.self)
    head.produced = word(32, UInt64.self)
    head.dropped = word(40, UInt64.self)
    head.time = word(48, UInt64.self)
    head.items = word(56, UInt32.self)
    let plainBytes = Int(word(60, UInt32.self))
    try check(head.source != 0, 8)
    try check(head.sequence != 0, 24)
    try check(head.dropped <= head.produced && head.produced - head.dropped >= UInt64(head.items), 32)
    try check((head.items == 0) == (signal == .report), 56)
    try check(plainBytes <= limit && (plainBytes == 0) == (signal == .report), 60)
    let isCompressed = flags & Flag.compressed != 0
    try check(isCompressed ? signal != .report && !payload.isEmpty : payload.count == plainBytes, 60)
    return CrestDatagram(
        head: head, payload: payload, isCompressed: isCompressed, plainBytes: plainBytes,
        tag: tagBytes > 0 ? payload.upperBound..<bytes.count : nil)
}

/// Writes a datagram.
/// - Parameters:
///   - payload: as it is sent; plain unless `plainBytes` is given.
///   - plainBytes: bytes of the payload when it is inflated; nil: it is not compressed.
///   - key: adds an authentication tag.
package func encodeCrestDatagram(
    _ head: CrestDatagramHead, payload: UnsafeRawBufferPointer, plainBytes: Int? = nil, key: HMACSHA256? = nil
) -> [UInt8] {
    let room = CrestDatagramHead.headBytes + payload.count + CrestDatagramHead.tagBytes
    var writer = ByteWriter(reserving: room)
    writer.write(magic)
    writer.write(version)
    writer.write((plainBytes != nil ? Flag.compressed : 0) | (key != nil ? Flag.tagged : 0))
    writer.write(head.signal.rawValue)
    writer.write(UInt8(0))
    for word in [head.source, head.epoch, head.sequence, head.produced, head.dropped, head.time] { writer.write(word) }
    writer.write(head.items)
    writer.write(UInt32(clamping: plainBytes ?? payload.count))
    writer.write(crc32c(payload, continuing: crc32c(writer.bytes)))
    writer.write(payload)
    if let key { writer.write(Array(writer.bytes.withUnsafeBytes { key.code($0) }.prefix(CrestDatagramHead.tagBytes))) }
    return writer.bytes
}

/// "CRST".
private let magic: UInt32 = 0x5453_5243
private let version: UInt8 = 1
private let checksumOffset = 64

private enum Flag {
    static let compressed: UInt8 = 1
    static let tagged: UInt8 = 2
}
