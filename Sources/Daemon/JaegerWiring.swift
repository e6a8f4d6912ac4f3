internal import Endpoints
internal import Listeners
internal import Synchronization

/// Spans of Jaeger clients on a datagram socket. Each datagram is handed on at once; nothing waits for a tick.
struct JaegerDatagrams: DatagramReceiver {
    let receiver: JaegerDatagramReceiver

    var isPending: Bool { false }

    func receive(_ datagram: UnsafeRawBufferPointer) { receiver.receive(datagram) }

    func tick() {}
}

extension CrestDaemon {
    /// Binds `--jaeger-udp`.
    func bindJaegerUDP(_ context: EndpointContext) throws(StartFailure) {
        for case .internet(let address) in configuration.addresses(.jaegerUDP) {
            do throws(ListenerError) {
                let listener = try UDPListener(address, receiveBufferBytes: Self.jaegerBufferBytes, ledger: ledger) {
                    _ in JaegerDatagrams(receiver: JaegerDatagramReceiver(context))
                }
                udp.withLock { $0.append((name: ListenerName.jaegerUDP.rawValue, listener: listener)) }
                warn(of: listener.buffer, "\(listener.address)")
                note(.internet(listener.address), of: .jaegerUDP)
            } catch { throw StartFailure(error, .jaegerUDP) }
        }
    }

    /// Asked of the kernel: room for some 100 of the largest datagrams while the thread is away.
    private static let jaegerBufferBytes = 8 << 20
}
