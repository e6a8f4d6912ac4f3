"""Floods of far more lines than the daemon can take: memory stays flat, other listeners answer, every line is counted.

One against a daemon that is held to a small share of the processor by stopping and continuing it, one against a daemon
that has a core of its own. CREST_FULL=1 makes the second a minute long, wants a hundred times what is applied, and
compares the latencies of the query API before and meanwhile; those are times, for a machine where nothing else runs.
"""
import multiprocessing
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
PAYLOAD = b"\n".join(b"flood.requests.n%d:1|c|#service:order,route:checkout" % number for number in range(25))
LINES = PAYLOAD.count(b"\n") + 1
# The shortest lines that cost a histogram, as many as a datagram holds: that many a sender can offer.
SHORT = b"\n".join([b"t:1|ms"] * 9_000)
SHORT_LINES = SHORT.count(b"\n") + 1


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


def flood(address, payload, seconds):
    """Sends until the time is over; how many datagrams left."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(address)
        over, sent = time.monotonic() + seconds, 0
        while time.monotonic() < over:
            sent += sum(out.send(payload) == len(payload) for _ in range(200))
    return sent


def flood_from_elsewhere(results, *arguments):
    """As from another machine: it takes no time that the daemon wants."""
    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.nice(19)
    results.send(flood(*arguments))


def latencies(daemon, over):
    """Seconds of requests to the query API, at most a hundred a second."""
    seconds = []
    with requests.Session() as session:
        while not over():
            began = time.monotonic()
            assert session.get(daemon.url("/api/services"), timeout=30).status_code == 200
            seconds.append(time.monotonic() - began)
            time.sleep(0.01)
    return seconds


def p99(seconds):
    return statistics.quantiles(seconds, n=100)[98]


def settled(daemon, sent, lines):
    """The ledger, once it knows of every datagram."""
    def all_known():
        ledger = daemon.ledger()
        datagrams = ledger["datagrams"]
        assert datagrams["received"] + datagrams["droppedByKernel"] == sent
        assert ledger["lines"]["seen"] == lines * datagrams["handled"]
        return ledger
    ledger = eventually(all_known)
    assert ledger["balanced"] is True
    assert ledger["lines"]["applied"] == ledger["lines"]["seen"]
    assert ledger["datagrams"]["droppedByKernel"] > 0
    return ledger


def test_a_flood_leaves_memory_flat_and_the_ledger_exact(daemon):
    with Quota(daemon.process):
        warm = flood(daemon.udp(), PAYLOAD, 2)
        before = daemon.rss_bytes()
        sent = flood(daemon.udp(), PAYLOAD, 8) + warm
        after = daemon.rss_bytes()
    ledger = settled(daemon, sent, LINES)
    assert after < before * 1.1 + (4 << 20), (before, after)

    # The engine has them all: what was applied is in the counters.
    def counters():
        return [float(line.rsplit(" ", 1)[1]) for line in daemon.get("/metrics").text.splitlines()
                if line.startswith("flood_requests_n")]
    eventually(lambda: sum(counters()) == ledger["lines"]["applied"])
    assert len(counters()) == LINES


def test_a_flood_of_a_hundred_times_the_capacity_leaves_the_queries_alone(daemon):
    quiet_seconds, seconds = (20, 60) if FULL else (2, 4)
    flood(daemon.udp(), SHORT, 0.1)  # the series exists
    over = time.monotonic() + quiet_seconds
    policy = os.sched_getscheduler(0)
    if FULL and os.geteuid() == 0:  # who asks is on another machine too
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    try:
        quiet = latencies(daemon, lambda: time.monotonic() > over)
        before, applied_before = daemon.rss_bytes(), daemon.ledger()
        sent_before = applied_before["datagrams"]["received"] + applied_before["datagrams"]["droppedByKernel"]
        results, report = multiprocessing.Pipe(duplex=False)
        sender = multiprocessing.Process(target=flood_from_elsewhere, args=(report, daemon.udp(), SHORT, seconds))
        sender.start()
        report.close()  # the sender's end is the only one: when it dies, that is an answer too
        flooded = latencies(daemon, results.poll)
    finally:
        os.sched_setscheduler(0, policy, os.sched_param(0))
    sent = results.recv()
    sender.join()
    after = daemon.rss_bytes()
    ledger = settled(daemon, sent_before + sent, SHORT_LINES)
    applied = (ledger["lines"]["applied"] - applied_before["lines"]["applied"]) / seconds
    offered = sent * SHORT_LINES / seconds
    print(f"\noffered {offered:.0f} lines/s, applied {applied:.0f}/s ({offered / applied:.0f} times), "
          f"{ledger['datagrams']['droppedByKernel']} of {sent_before + sent} datagrams dropped; "
          f"p99 of {len(quiet)} and {len(flooded)} requests {p99(quiet) * 1e3:.2f} -> {p99(flooded) * 1e3:.2f} ms; "
          f"RSS {before >> 20} -> {after >> 20} MiB")
    assert after < before * 1.1 + (4 << 20), (before, after)
    if FULL:
        assert offered >= 100 * applied
        assert p99(flooded) < 2 * p99(quiet), (p99(quiet), p99(flooded))
