internal import Endpoints
internal import HostIO
internal import Listeners

/// A StatsD receiver on a datagram socket.
struct StatsDDatagrams: DatagramReceiver {
    let receiver: StatsDReceiver

    var isPending: Bool { receiver.isPending }

    /// An idle thread ticks rarely: the first datagram after a pause opens the second it comes in, not that of the tick.
    func receive(_ datagram: UnsafeRawBufferPointer) {
        if !receiver.isPending { tick() }
        receiver.receive(datagram: datagram)
    }

    func tick() { receiver.tick(nowNanoseconds: SystemClock.now()) }
}
