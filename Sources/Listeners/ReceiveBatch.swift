internal import CLinux
internal import Glibc
internal import Telemetry

/// The buffers of one recvmmsg call.
struct ReceiveBatch: ~Copyable {
    static let slots = 64
    private let batch: OpaquePointer
    private let messages: UnsafeMutablePointer<clinux_datagram>
    private let bytes: UnsafePointer<UInt8>
    /// The socket's drop count as of the last message that carried one.
    private(set) var kernelDrops: UInt32 = 0

    init?() {
        guard let batch = clinux_batch_create(UInt32(Self.slots), UInt32(Limits.datagramBytes)),
            let bytes = clinux_batch_bytes(batch)
        else { return nil }
        self.batch = batch
        self.bytes = bytes
        messages = .allocate(capacity: Self.slots)
    }

    deinit {
        clinux_batch_destroy(batch)
        messages.deallocate()
    }

    /// The number of messages received; zero or less when there was none.
    mutating func receive(from descriptor: CInt) -> Int {
        Int(clinux_receive(descriptor, batch, messages, &kernelDrops))
    }

    /// Hands the datagrams of a message of the last call on. A message that UDP_GRO put together is taken apart.
    /// - Returns: how many datagrams it was; nil when it was cut and is lost.
    func forEachDatagram(of index: Int, _ body: (UnsafeRawBufferPointer) -> Void) -> Int? {
        let message = messages[index]
        if message.truncated != 0 { return nil }
        let whole = UnsafeRawBufferPointer(start: bytes + Int(message.offset), count: Int(message.length))
        let segment = Int(message.segment)
        guard segment > 0 else {
            body(whole)
            return 1
        }
        var count = 0
        var start = 0
        while start < whole.count {
            let end = min(start + segment, whole.count)
            body(UnsafeRawBufferPointer(rebasing: whole[start..<end]))
            count += 1
            start = end
        }
        return count
    }
}

/// When to tick, and when to let datagrams gather before the next receive call.
struct ReceivePace {
    static let tickMilliseconds: CInt = 250
    static let gatherMilliseconds: CInt = 5
    private var lastTick = ContinuousClock.now
    private var lastReceive = ContinuousClock.now
    private var isSteady = false

    mutating func isTickDue(isBusy: Bool) -> Bool {
        let now = ContinuousClock.now
        guard now - lastTick >= .milliseconds(Int(Self.tickMilliseconds)) || !isBusy else { return false }
        lastTick = now
        return true
    }

    /// Under steady traffic a pause of half a millisecond turns many small batches into a few larger ones: the
    /// system calls and wake-ups cost more than the datagrams. The socket's buffer holds hundreds of times as much.
    mutating func rest(after count: Int) {
        guard count > 0 else { return }
        let now = ContinuousClock.now
        isSteady = now - lastReceive < .milliseconds(2)
        lastReceive = now
        if isSteady { usleep(500) }
    }
}
