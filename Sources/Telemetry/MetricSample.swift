/// What a client says a metric line is; the type letter of the StatsD family.
package enum MetricKind: UInt8, CaseIterable, Sendable {
    /// `c`: an increment.
    case counter
    /// `g`: the latest value, or a change of it.
    case gauge
    /// `ms`: a duration in milliseconds.
    case timer
    /// `h`: one observation without a unit.
    case histogram
    /// `d`: as `h`, computed on the server.
    case distribution
    /// `s`: one member of a set.
    case set

    /// The raw value. Unlike that it is no call across modules, which would be made several times a line.
    @inlinable
    package var number: UInt8 { unsafeBitCast(self, to: UInt8.self) }

    /// In place of the derived one, which is a call as well.
    @inlinable
    package static func == (left: MetricKind, right: MetricKind) -> Bool { left.number == right.number }
}

/// One value of a metric line. It borrows the bytes of its datagram, so it is good only while they are.
package struct MetricSample {
    /// As sent: milliseconds for timers; zero for sets.
    package var value: Double
    /// How many events this one stands for: 1 / rate, exactly as that division gives it. 1 where a rate means nothing.
    package var weight: Double
    package var kind: MetricKind
    /// A gauge's value is a change, not a level.
    package var isDelta: Bool
    /// A set's member; empty for all other kinds.
    package var member: UnsafeRawBufferPointer

    @inlinable
    package init(
        value: Double, weight: Double, kind: MetricKind, isDelta: Bool = false,
        member: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
    ) {
        self.value = value
        self.weight = weight
        self.kind = kind
        self.isDelta = isDelta
        self.member = member
    }
}

/// A label of a series as it came in: not yet sanitised, the value valid UTF-8.
package struct MetricLabel: Hashable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]

    package init(key: [UInt8], value: [UInt8]) {
        self.key = key
        self.value = value
    }

    package init(_ key: String, _ value: String) {
        self.init(key: Array(key.utf8), value: Array(value.utf8))
    }
}

extension LineRejection: Error {}
