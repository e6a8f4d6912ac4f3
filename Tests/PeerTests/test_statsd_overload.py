"""A flood of far more lines than the daemon can take: memory stays flat, other listeners answer, every line is counted.

The daemon gets a small share of the processor by stopping and continuing it, so that a sender in Python can offer a
hundred times what it has time for. CREST_FULL=1 floods for a minute
and compares the latencies too.
"""
import os
import signal
import socket
import statistics
import threading
import time

import requests

from daemon import eventually

RUN_SECONDS, PAUSE_SECONDS = 0.001, 0.299
FULL = os.environ.get("CREST_FULL") == "1"
FLOOD_SECONDS = 60 if FULL else 8
PAYLOAD = b"\n".join(b"flood.requests.n%d:1|c|#service:order,route:checkout" % number for number in range(25))
LINES = PAYLOAD.count(b"\n") + 1


class Quota:
    """Lets a process run for a share of the time; by default one of every three hundred milliseconds."""

    def __init__(self, process, run_seconds=RUN_SECONDS, pause_seconds=PAUSE_SECONDS):
        self.process, self.over = process, threading.Event()
        self.run_seconds, self.pause_seconds = run_seconds, pause_seconds
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.wait(self.run_seconds):
            self.process.send_signal(signal.SIGSTOP)
            self.over.wait(self.pause_seconds)
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        self.thread.start()

    def __exit__(self, *error):
        self.over.set()
        self.thread.join()
        self.process.send_signal(signal.SIGCONT)


def latencies(daemon, until):
    """Seconds of requests to the query API, one after another on a kept connection."""
    seconds = []
    with requests.Session() as session:
        while not until() or len(seconds) < 20:
            began = time.monotonic()
            assert session.get(daemon.url("/api/services"), timeout=30).status_code == 200
            seconds.append(time.monotonic() - began)
    return seconds


def p99(seconds):
    return statistics.quantiles(seconds, n=100)[98] if len(seconds) > 1 else seconds[0]


def lines_per_second(daemon, send, seconds):
    """What the daemon applies of a flood of so many seconds, and what was offered."""
    before, began, sent = daemon.ledger()["lines"]["applied"], time.monotonic(), 0
    while time.monotonic() < began + seconds:
        sent += sum(send(PAYLOAD) == len(PAYLOAD) for _ in range(200))
    spent = time.monotonic() - began
    return (daemon.ledger()["lines"]["applied"] - before) / spent, sent * LINES / spent, sent


def test_a_flood_leaves_memory_flat_and_the_ledger_exact(daemon):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(daemon.udp())
    with Quota(daemon.process):
        over = time.monotonic() + 4
        quiet = latencies(daemon, lambda: time.monotonic() > over)
        _, _, warm = lines_per_second(daemon, out.send, 2)
        before = daemon.rss_bytes()
        flooded, done = [], threading.Event()
        reader = threading.Thread(target=lambda: flooded.extend(latencies(daemon, done.is_set)))
        reader.start()
        applied, offered, sent = lines_per_second(daemon, out.send, FLOOD_SECONDS)
        done.set()
        reader.join()
        after = daemon.rss_bytes()
    sent += warm

    def all_known():
        ledger = daemon.ledger()
        datagrams = ledger["datagrams"]
        assert datagrams["received"] + datagrams["droppedByKernel"] == sent
        assert ledger["lines"]["seen"] == LINES * datagrams["handled"]
        return ledger
    ledger = eventually(all_known)
    print(f"offered {offered:.0f} lines/s, applied {applied:.0f}/s, {ledger['datagrams']['droppedByKernel']} of {sent} "
          f"datagrams dropped; p99 {p99(quiet):.3f} -> {p99(flooded):.3f} s; RSS {before >> 20} -> {after >> 20} MiB")
    assert ledger["balanced"] is True
    assert ledger["lines"]["applied"] == ledger["lines"]["seen"]
    assert ledger["datagrams"]["droppedByKernel"] > 0
    assert after < before * 1.1 + (4 << 20), (before, after)
    if FULL:  # a time: only where nothing else runs
        assert p99(flooded) < 2 * p99(quiet), (p99(quiet), p99(flooded))
    # The engine has them all: what was applied is in the counters.
    found = eventually(lambda: [float(line.rsplit(" ", 1)[1]) for line in daemon.get("/metrics").text.splitlines()
                                if line.startswith("flood_requests_n")])
    eventually(lambda: sum(float(line.rsplit(" ", 1)[1]) for line in daemon.get("/metrics").text.splitlines()
                           if line.startswith("flood_requests_n")) == ledger["lines"]["applied"])
    assert len(found) == LINES
