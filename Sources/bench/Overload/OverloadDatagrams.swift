internal import Glibc

/// E8: datagrams as fast as they can be sent; every one is received or counted as dropped.
extension OverloadBench {
    func datagrams() throws -> Bool {
        let daemon = try HeldDaemon(
            share: settings.share, listeners: ["http", "statsd"], flags: ["--statsd-workers", "1"])
        defer { daemon.stop() }
        let train = DatagramTrain.shop(lines: 200_000, seed: UInt64(settings.seed))
        let before = daemon.process.residentBytes
        let started = now()
        var sent = DatagramTrain.Sending()
        while now() < started + settings.stepSeconds {
            let part = try train.send(lines: train.lines, linesPerSecond: 0, port: daemon.port("statsd"))
            sent.lines += part.lines
            sent.datagrams += part.datagrams
        }
        let seconds = now() - started
        let during = daemon.process.peakResidentBytes
        daemon.quota.lift()
        let text = try metrics(daemon, after: sent.datagrams)
        let received = Int(metric("crest_datagrams_received_total", in: text))
        let dropped = Int(metric("crest_datagrams_dropped_by_kernel_total", in: text))
        let isPassed = received + dropped == sent.datagrams
        var report = report(.datagrams, "datagrams as fast as they can be sent", daemon)
        report.add("datagrams_sent", sent.datagrams)
        report.add("datagrams_per_second", Double(sent.datagrams) / seconds)
        report.add("datagrams_received", received)
        report.add("datagrams_dropped_by_kernel", dropped)
        report.add("ledger_difference", sent.datagrams - received - dropped)
        report.add("ledger_difference_limit", 0)
        report.add("rss_bytes_before", before)
        report.add("peak_rss_bytes", during)
        report.add("pass", isPassed)
        report.print()
        return isPassed
    }

    private func metrics(_ daemon: HeldDaemon, after datagrams: Int) throws -> String {
        let deadline = now() + 20
        while true {
            let text = try daemon.metrics()
            let known =
                metric("crest_datagrams_received_total", in: text)
                + metric("crest_datagrams_dropped_by_kernel_total", in: text)
            if Int(known) >= datagrams || now() > deadline { return text }
            usleep(20_000)
        }
    }
}
