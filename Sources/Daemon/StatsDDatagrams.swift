internal import Endpoints
internal import HostIO
internal import Listeners

/// A StatsD receiver on a datagram socket.
struct StatsDDatagrams: DatagramReceiver {
    let receiver: StatsDReceiver

    var isPending: Bool { receiver.isPending }

    func receive(_ datagram: UnsafeRawBufferPointer) { receiver.receive(datagram: datagram) }

    func tick() { receiver.tick(nowNanoseconds: SystemClock.now()) }
}
