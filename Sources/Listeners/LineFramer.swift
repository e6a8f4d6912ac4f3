internal import Telemetry

/// Cuts a stream of bytes into blocks of whole lines. Holds at most one unfinished line.
///
/// A line longer than `Limits.lineBytes` is left out and counted as soon as its end is known; what follows it is taken
/// as if nothing had been.
package struct LineFramer: ~Copyable {
    /// Lines left out because they were too long.
    package private(set) var tooLong: UInt64 = 0
    private var carried: UnsafeMutableRawBufferPointer?
    private var carriedCount = 0
    private var isSkipping = false

    /// A line with CR and LF; the decoder refuses what is one byte too long.
    private static let capacity = Limits.lineBytes + 2

    package init() {}

    deinit { carried?.deallocate() }

    /// Whether a line has begun and not ended.
    package var isMidLine: Bool { carriedCount > 0 || isSkipping }

    /// Takes the next bytes and hands on what they complete, each block one or more lines with their line feeds.
    package mutating func take(_ bytes: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> Void) {
        guard let lastFeed = bytes.lastIndex(of: 10) else { return keep(bytes) }
        var start = 0
        if isMidLine, let feed = bytes.firstIndex(of: 10) {
            keep(UnsafeRawBufferPointer(rebasing: bytes[...feed]))
            finish(body)
            start = feed + 1
        }
        if start <= lastFeed { body(UnsafeRawBufferPointer(rebasing: bytes[start...lastFeed])) }
        if lastFeed + 1 < bytes.count { keep(UnsafeRawBufferPointer(rebasing: bytes[(lastFeed + 1)...])) }
    }

    /// Ends the line that has begun, as a line feed or the end of the stream does.
    package mutating func finish(_ body: (UnsafeRawBufferPointer) -> Void) {
        if isSkipping {
            tooLong &+= 1
        } else if let carried, carriedCount > 0 {
            body(UnsafeRawBufferPointer(rebasing: carried[..<carriedCount]))
        }
        isSkipping = false
        carriedCount = 0
    }

    private mutating func keep(_ bytes: UnsafeRawBufferPointer) {
        guard !isSkipping, carriedCount + bytes.count <= Self.capacity else {
            isSkipping = true
            carriedCount = 0
            return
        }
        let memory =
            carried ?? UnsafeMutableRawBufferPointer.allocate(byteCount: Self.capacity, alignment: 16)
        carried = memory
        guard !bytes.isEmpty else { return }
        UnsafeMutableRawBufferPointer(rebasing: memory[carriedCount...]).copyMemory(from: bytes)
        carriedCount += bytes.count
    }
}
