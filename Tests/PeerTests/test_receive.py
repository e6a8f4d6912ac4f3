"""The ways StatsD lines come in, and the proof that what was lost on the way is counted to the datagram."""
import os
import signal
import socket
import stat

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon import Daemon, eventually


@pytest.fixture
def started(tmp_path):
    """Starts daemons with these flags; ends them with the test."""
    daemons = []

    def start(*flags):
        daemons.append(Daemon(tmp_path / f"data{len(daemons)}", *flags))
        return daemons[-1]
    yield start
    for daemon in daemons:
        if daemon.process.poll() is None:
            daemon.process.send_signal(signal.SIGCONT)
            daemon.process.kill()
            daemon.process.wait()


def values(daemon, name):
    """The samples of one name: value by labels."""
    found = {}
    for family in parse_text(daemon.get("/metrics").text):
        for sample in family.samples:
            if sample.name == name:
                found[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def by_listener(daemon, name):
    """Of the StatsD listeners; the other datagram listeners are in the same families."""
    found = {dict(labels)["listener"]: value for labels, value in values(daemon, name).items()}
    return {listener: value for listener, value in found.items() if listener.startswith("statsd")}


def until(daemon, check):
    """Polls the ledger until it satisfies `check`, and returns it."""
    def reached():
        ledger = daemon.ledger()
        assert check(ledger), ledger
        return ledger
    return eventually(reached, seconds=60)


def check_balance(ledger):
    datagrams, lines = ledger["datagrams"], ledger["lines"]
    assert datagrams["received"] == datagrams["handled"] + datagrams["truncated"], datagrams
    assert lines["seen"] == lines["applied"] + sum(lines["rejected"].values()), lines
    assert ledger["balanced"] is True


@pytest.mark.parametrize("workers", ["1", "3"])
def test_what_the_kernel_drops_is_counted_to_the_datagram(started, workers):
    daemon = started(f"--statsd-workers={workers}")
    host, port = daemon.udp()
    payload = b"flood:1|c\nflood:2|c\nbroken\nflood:x|c"
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(8)]
    for out in senders:
        out.connect((host, port))
    sent = 0
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        # The sockets' buffers hold about 45,000 datagrams each: one worker's must overflow, three workers' may not.
        for _ in range(12_500):
            for out in senders:
                sent += out.send(payload) == len(payload)
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    def all_known(ledger):
        datagrams = ledger["datagrams"]
        return datagrams["received"] + datagrams["droppedByKernel"] == sent \
            and ledger["lines"]["seen"] == 4 * datagrams["handled"]
    ledger = until(daemon, all_known)
    check_balance(ledger)
    datagrams, lines = ledger["datagrams"], ledger["lines"]
    assert datagrams["truncated"] == 0
    if workers == "1":
        assert datagrams["droppedByKernel"] > 0
    assert lines["applied"] == 2 * datagrams["handled"]
    assert sum(lines["rejected"].values()) == 2 * datagrams["handled"]
    # Every applied line is in the counter, and the metrics tell what the ledger tells.
    eventually(lambda: values(daemon, "flood_total") == {(): 3.0 * datagrams["handled"]})
    assert by_listener(daemon, "crest_datagrams_dropped_by_kernel_total") == {"statsd": datagrams["droppedByKernel"]}
    assert by_listener(daemon, "crest_datagrams_received_total") == {"statsd": datagrams["received"]}
    for out in senders:
        out.close()


def test_datagrams_longer_than_the_limit_are_counted_as_truncated(started, tmp_path):
    path = tmp_path / "statsd.sock"
    daemon = started(f"--statsd=unixgram:{path}")
    assert f"statsd=unixgram:{path}" in daemon.ready_line
    assert stat.S_ISSOCK(path.stat().st_mode) and stat.S_IMODE(path.stat().st_mode) == 0o666
    line = b"long:1|c\n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        out.connect(str(path))
        for length in (1, 7000, 7281, 7282, 8000, 12_000):
            out.send(line * length)
    ledger = until(daemon, lambda ledger: ledger["datagrams"]["received"] == 6
                   and ledger["lines"]["seen"] == 1 + 7000 + 7281)
    check_balance(ledger)
    assert ledger["datagrams"]["truncated"] == 3
    eventually(lambda: values(daemon, "long_total") == {(): 1 + 7000 + 7281})
    assert daemon.stop() == 0
    assert not path.exists()


def test_a_sender_waits_while_a_unix_socket_is_full(started):
    """Nothing is dropped there: what was sent while the daemon stood still is all received."""
    name = f"@crest-peer-{os.getpid()}"
    daemon = started(f"--statsd=unixgram:{name}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.connect("\0" + name[1:])
        out.setblocking(False)
        daemon.process.send_signal(signal.SIGSTOP)
        sent, refused = 0, 0
        try:
            for _ in range(2_000):
                try:
                    sent += out.send(b"wait:1|c") > 0
                except BlockingIOError:
                    refused += 1
        finally:
            daemon.process.send_signal(signal.SIGCONT)
        assert refused > 0
    ledger = until(daemon, lambda ledger: ledger["lines"]["seen"] == sent)
    check_balance(ledger)
    assert ledger["datagrams"] == {"received": sent, "handled": sent, "truncated": 0, "droppedByKernel": 0}


def test_a_socket_file_left_by_a_crash_is_replaced(started, tmp_path):
    path = tmp_path / "statsd.sock"
    daemon = started(f"--statsd=unixgram:{path}")
    daemon.kill()
    assert path.exists()
    daemon.start()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"again:1|c", str(path))
    until(daemon, lambda ledger: ledger["lines"]["applied"] == 1)


def test_lines_over_tcp(started):
    daemon = started("--statsd=tcp:127.0.0.1:0")
    assert daemon.address["statsd"].startswith("tcp:127.0.0.1:")
    address = daemon.udp()
    address = (address[0].removeprefix("tcp:"), address[1])
    with socket.create_connection(address) as out:
        out.sendall(b"a:1|c\nb:2|")
        until(daemon, lambda ledger: ledger["lines"]["seen"] == 1)
        out.sendall(b"c\r\n" + b"x" * 50_000)
        out.sendall(b"x" * 50_000 + b"\nc:3|c\nbad\n")
        ledger = until(daemon, lambda ledger: ledger["lines"]["seen"] == 5)
        assert ledger["lines"]["rejected"] == {"line_too_long": 1, "no_colon": 1}
        assert by_listener(daemon, "crest_line_connections") == {"statsd": 1}
        out.sendall(b"last:4|c")
    ledger = until(daemon, lambda ledger: ledger["lines"]["seen"] == 6)
    check_balance(ledger)
    assert ledger["datagrams"]["received"] == 0

    def right():
        return [values(daemon, f"{name}_total") for name in ("a", "b", "c", "last")] == [
            {(): value} for value in (1, 2, 3, 4)]
    eventually(right)
    eventually(lambda: by_listener(daemon, "crest_line_connections") == {"statsd": 0})
    assert by_listener(daemon, "crest_line_connections_accepted_total") == {"statsd": 1}


def test_several_listeners_are_named_by_their_order(started, tmp_path):
    path = tmp_path / "s.sock"
    daemon = started("--statsd=127.0.0.1:0", f"--statsd=unixgram:{path}", "--statsd=tcp:127.0.0.1:0",
                     "--statsd=127.0.0.1:0")
    first, unix, tcp, last = daemon.address["statsd"].split(",")
    assert unix == f"unixgram:{path}" and tcp.startswith("tcp:127.0.0.1:")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for address, count in ((first, 2), (last, 3)):
            host, port = address.rsplit(":", 1)
            for _ in range(count):
                out.sendto(b"n:1|c", (host, int(port)))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        out.sendto(b"n:1|c", str(path))
    until(daemon, lambda ledger: ledger["lines"]["applied"] == 6)
    assert by_listener(daemon, "crest_datagrams_received_total") == {"statsd": 2, "statsd/2": 1, "statsd/4": 3}
    assert set(by_listener(daemon, "crest_receive_buffer_bytes")) == {"statsd", "statsd/4"}
    assert set(by_listener(daemon, "crest_line_connections")) == {"statsd/3"}
    status = daemon.json("/api/crest/v1/status")
    assert daemon.address["statsd"] in str(status)
