internal import NIOCore

/// Counts the bytes that come to the parser of a connection, before it makes parts of messages of them.
final class WireMeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer

    private(set) var bytes = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        bytes &+= unwrapInboundIn(data).readableBytes
        context.fireChannelRead(data)
    }
}

/// How much of a chunked body is no body. The parser takes chunk extensions of any length and tells nobody of them.
///
/// As Go's reader of chunks has it: 16 bytes a chunk and twice the data are free, and beyond that so much in all. Chunks
/// of one byte pass, because careless clients send them; extensions without end do not.
struct ChunkOverhead {
    private var excess = 0
    private var dataBytes = 0
    private var pieces = 0
    /// The head of the message is in this read too.
    private var isFirstRead = true

    /// Takes a piece of the body: a chunk, or what came of one.
    mutating func take(_ count: Int) {
        dataBytes &+= count
        pieces &+= 1
    }

    /// Takes the bytes of a whole read in which the body goes on.
    /// - Returns: false when there is too much that is no body.
    mutating func endRead(wireBytes: Int, most: Int) -> Bool {
        defer { (dataBytes, pieces, isFirstRead) = (0, 0, false) }
        if isFirstRead { return true }
        excess = max(excess + wireBytes - 3 * dataBytes - 16 * pieces, 0)
        return excess <= most
    }
}
