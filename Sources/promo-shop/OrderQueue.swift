/// The topic `order.created`: 24 partitions, each read by one consumer that takes the messages in order.
///
/// Nothing waits in real time: publishing says when the consumer will get to the message, and how many are waiting
/// follows from that.
struct OrderQueue {
    static let partitionCount = 24
    /// Nanoseconds since 1970 at which each partition's consumer is free.
    private var freeAt = [UInt64](repeating: 0, count: partitionCount)
    /// Start times of messages that have not begun, per partition, oldest first.
    private var waiting = [[UInt64]](repeating: [], count: partitionCount)

    /// - Parameters:
    ///   - now: when the message is in the topic, in nanoseconds since 1970.
    ///   - transit: until a free consumer sees it.
    ///   - work: how long it keeps the consumer.
    /// - Returns: when its processing starts.
    mutating func publish(partition: Int, now: UInt64, transit: UInt64, work: UInt64) -> UInt64 {
        let start = max(now + transit, freeAt[partition])
        freeAt[partition] = start + work
        waiting[partition].append(start)
        return start
    }

    /// Messages published and not yet begun at `now`.
    mutating func depth(at now: UInt64) -> Int {
        var total = 0
        for partition in waiting.indices {
            let begun = waiting[partition].prefix { $0 <= now }.count
            if begun > 0 { waiting[partition].removeFirst(begun) }
            total += waiting[partition].count
        }
        return total
    }
}
