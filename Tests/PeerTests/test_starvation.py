"""The daemon beside others that take the processor: it answers late or says no, and knows what it took."""
import os
import statistics
import subprocess
import sys
import threading
import time

import requests

import otlp
from daemon import eventually

FULL = os.environ.get("CREST_FULL") == "1"
PROTOBUF = {"Content-Type": "application/x-protobuf"}


class Senders:
    """Threads that send one request after the other; keeps the answers, the seconds, and what was acknowledged."""

    def __init__(self, daemon, threads, spans=3, traces=1):
        self.daemon, self.spans, self.traces = daemon, spans, traces
        self.over, self.lock = threading.Event(), threading.Lock()
        self.seconds, self.acknowledged, self.others = [], [], []
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(threads)]

    def run(self, number):
        with requests.Session() as session:
            count = 0
            while not self.over.is_set():
                count += 1
                message, ids = otlp.request(self.traces, self.spans, seed=number * 1_000_000 + count)
                began = time.monotonic()
                reply = session.post(self.daemon.url("/v1/traces", "otlp-http"), data=message.SerializeToString(),
                                     headers=PROTOBUF, timeout=60)
                with self.lock:
                    self.seconds.append(time.monotonic() - began)
                    if reply.status_code == 200:
                        self.acknowledged += ids
                    else:
                        self.others.append((reply.status_code, reply.headers.get("Retry-After")))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        for thread in self.threads:
            thread.join()


def p99(seconds):
    return statistics.quantiles(seconds, n=100)[98]


def confine(process, core):
    """Binds every thread that a process has to one core."""
    for thread in os.listdir(f"/proc/{process.pid}/task"):
        os.sched_setaffinity(int(thread), {core})


def check_stored(daemon, senders):
    eventually(lambda: daemon.ledger()["balanced"])
    for trace_id in senders.acknowledged[:: max(1, len(senders.acknowledged) // 300)]:
        trace = daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]
        assert len(trace["spans"]) == senders.spans


def test_beside_hogs_on_its_only_core_every_answer_holds(daemon):
    core = max(os.sched_getaffinity(0))
    confine(daemon.process, core)
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(6)]
    try:
        for hog in hogs:
            confine(hog, core)
        with Senders(daemon, threads=8) as senders:
            time.sleep(20 if FULL else 4)
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
    print(f"{len(senders.acknowledged)} acknowledged, {len(senders.others)} others, p99 {p99(senders.seconds):.3f} s")
    assert len(senders.acknowledged) > 20
    assert all(status in (429, 503) and int(after) >= 1 for status, after in senders.others)
    check_stored(daemon, senders)


def test_slow_queries_do_not_delay_ingest(daemon):
    for number in range(40):
        message, _ = otlp.request(400, 4, service="slow", seed=7_000 + number)
        assert daemon.post("/v1/traces", "otlp-http", data=message.SerializeToString(), headers=PROTOBUF).ok
    # Looks at every span and finds none; the whole of a large answer besides.
    queries = ["/api/crest/v1/search?service=slow&tag=user.id:nobody&limit=1000", "/api/traces?service=slow&limit=1500"]
    over, answered = threading.Event(), []

    def query(number):
        with requests.Session() as session:
            while not over.is_set():
                answered.append(session.get(daemon.url(queries[number % 2]), timeout=60).status_code)
    with Senders(daemon, threads=1) as alone:
        time.sleep(6 if FULL else 2)
    readers = [threading.Thread(target=query, args=(number,)) for number in range(8)]
    for reader in readers:
        reader.start()
    try:
        with Senders(daemon, threads=1) as beside:
            time.sleep(6 if FULL else 2)
    finally:
        over.set()
        for reader in readers:
            reader.join()
    print(f"{len(answered)} queries; ingest p99 {p99(alone.seconds) * 1e3:.1f} -> {p99(beside.seconds) * 1e3:.1f} ms, "
          f"{len(alone.seconds)} -> {len(beside.seconds)} requests")
    assert alone.others == beside.others == []
    assert len(answered) >= 8 and set(answered) <= {200, 503}
    assert len(beside.seconds) > 20
    if FULL:  # a time: only where nothing else runs
        assert p99(beside.seconds) < 2 * p99(alone.seconds) + 0.02
    check_stored(daemon, beside)
