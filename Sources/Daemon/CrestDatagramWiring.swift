internal import Endpoints
internal import Listeners
internal import Synchronization

/// Crest datagrams on a socket.
struct CrestDatagrams: DatagramReceiver {
    let receiver: CrestDatagramReceiver

    var isPending: Bool { receiver.isPending }

    func receive(_ datagram: UnsafeRawBufferPointer) { receiver.receive(datagram) }

    func settle() -> Bool { receiver.settle() }

    func tick() { receiver.tick() }
}

extension CrestDaemon {
    /// Binds `--crest-udp`. One thread: the datagrams of a source stay in their order.
    func bindCrestUDP(_ context: EndpointContext, _ metrics: MetricsService) throws(StartFailure) {
        let key = configuration.crestUDPKey
        for case .internet(let address) in configuration.addresses(.crestUDP) {
            do throws(ListenerError) {
                let listener = try UDPListener(
                    address, receiveBufferBytes: Self.crestDatagramBufferBytes, ledger: ledger
                ) { _ in
                    CrestDatagrams(
                        receiver: CrestDatagramReceiver(context, lines: metrics.makeReceiver(), key: key))
                }
                udp.withLock { $0.append((name: ListenerName.crestUDP.rawValue, listener: listener)) }
                warn(of: listener.buffer, "\(listener.address)")
                note(.internet(listener.address), of: .crestUDP)
            } catch { throw StartFailure(error, .crestUDP) }
        }
    }

    /// Asked of the kernel: room for some 200 of the largest datagrams while the thread is away.
    private static let crestDatagramBufferBytes = 16 << 20
}
