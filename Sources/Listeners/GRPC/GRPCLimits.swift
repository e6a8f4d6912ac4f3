internal import Telemetry

/// What one client may use of a ``GRPCServer``, and for how long.
package struct GRPCLimits: Sendable {
    /// Bytes of a message as sent; more: RESOURCE_EXHAUSTED.
    package var messageBytes = Limits.bodyBytes
    /// Open connections; more are closed at once.
    package var connections = 1_024
    /// Of them, of one address (IPv4, or an IPv6 /64).
    package var connectionsPerAddress = 256
    /// Calls of one address in ten seconds that were taken back or were none; more close the connection, and the address
    /// gets no new ones for ten seconds.
    package var wastedCalls = 400
    /// Calls of one connection at the same time. Clients are told and keep to it; those that do not are closed.
    package var streams = 100
    /// Bytes of the headers of a call, 32 for each field included; more close the connection.
    package var headerBytes = 16 << 10
    /// CONTINUATION frames in a row; more close the connection.
    package var continuations = 8
    /// Bytes a client may send ahead in one call, and in all of a connection.
    package var streamWindow = 1 << 20
    package var connectionWindow = 4 << 20
    /// Bytes of a frame.
    package var frameBytes = 64 << 10
    /// RST_STREAM frames of one connection in half a minute; more close it.
    package var resets = 200
    /// Streams of one connection refused or broken in half a minute; more close it.
    package var streamErrors = 1_000
    /// PING, SETTINGS and PRIORITY frames of one connection in a second; more close it. Some clients measure the
    /// line with a PING for every answer, so this bounds their answers a second too.
    package var controlFrames = 2_000
    /// From the headers of a call to the end of its message, when the client gives no shorter `grpc-timeout`; longer:
    /// DEADLINE_EXCEEDED.
    package var bodyTimeout = Duration.seconds(60)
    /// Bytes of a message in a second, and the period over which they are looked for; less, and not made up for by other
    /// messages of the connection: DEADLINE_EXCEEDED.
    package var bodyBytesPerSecond = Limits.bodyBytesPerSecond
    package var bodySpeedPeriod = Duration.seconds(Limits.bodySpeedSeconds)
    /// An answer that the peer does not take for so long closes the connection.
    package var writeTimeout = Duration.seconds(30)
    /// Without a call: the connection is told to go, and closed.
    package var idleTimeout = Duration.seconds(300)
    /// From accept to the first call; longer: closed.
    package var firstCallTimeout = Duration.seconds(75)
    /// For clients that were told to go.
    package var graceTimeout = Duration.seconds(10)
    /// How long the socket of a connection closed for a breach is kept, so that the peer sees why.
    package var lingerTimeout = Duration.seconds(1)
    /// How often the timeouts of connections are looked at.
    package var sweepInterval = Duration.seconds(1)

    package init() {}
}

/// Why a connection was closed against its will. The raw value is the `kind` label of
/// `crest_grpc_connections_closed_total`.
package enum GRPCBreach: String, CaseIterable, Sendable {
    /// More calls at once than allowed.
    case streams
    /// Streams were opened and reset too often.
    case resets
    /// PING, SETTINGS or PRIORITY frames too often.
    case controlFrames = "control_frames"
    case continuations
    case emptyFrames = "empty_frames"
    case headerBytes = "header_bytes"
    /// Too many streams that were refused or broken.
    case streamErrors = "stream_errors"
    /// Answers that the peer does not read.
    case unread
    /// Not HTTP/2 with prior knowledge, or against its rules.
    case malformed
    /// No call in time, or no end after it was told to go.
    case silent
}

/// What a ``GRPCServer`` has counted.
package struct GRPCCounts: Sendable {
    package var open = 0
    package var accepted: UInt64 = 0
    package var refused: UInt64 = 0
    /// Calls by `grpc-status`, those that ended without one left out.
    package var calls: [(code: UInt8, count: UInt64)] = []
    /// Calls whose stream broke a rule, or came after the goodbye: reset without an answer.
    package var refusedStreams: UInt64 = 0
    /// Calls that the client gave up before they were answered.
    package var cancelled: UInt64 = 0
    package var closed: [(kind: GRPCBreach, count: UInt64)] = []
}
