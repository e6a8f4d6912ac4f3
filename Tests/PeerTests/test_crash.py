"""kill -9 at random moments under load: everything acknowledged is there after the restart, the ledger balances."""
import http.client
import os
import random
import threading
import time

import otlp
from daemon import Daemon, eventually

CYCLES = int(os.environ.get("CREST_CRASH_CYCLES", "1000" if os.environ.get("CREST_FULL") == "1" else "100"))
SENDERS = 3


class Sender(threading.Thread):
    """Sends distinct requests over one connection until the daemon dies; remembers what was acknowledged."""

    def __init__(self, daemon, seed):
        super().__init__(daemon=True)
        self.host, port = daemon.address["otlp-http"].rsplit(":", 1)
        self.port = int(port)
        self.seed = seed
        self.acknowledged = []

    def run(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=10)
        for number in range(100_000):
            message, ids = otlp.request(4, 3, seed=self.seed * 1_000_003 + number)
            try:
                connection.request("POST", "/v1/traces", message.SerializeToString(), {
                    "Content-Type": "application/x-protobuf"})
                reply = connection.getresponse()
                reply.read()
            except (OSError, http.client.HTTPException):
                return
            if reply.status == 200:
                self.acknowledged += ids


def spans_of(daemon, connection, trace_id):
    connection.request("GET", f"/api/traces/{trace_id.hex()}")
    reply = connection.getresponse()
    body = reply.read()
    return body.count(b'"spanID"') - body.count(b'"refType"') if reply.status == 200 else 0


def test_nothing_acknowledged_is_lost(tmp_path):
    seed = int(os.environ.get("CREST_SEED", "20261111"))
    rng = random.Random(seed)
    daemon = Daemon(tmp_path / "data")
    everything = []
    began = time.monotonic()
    for cycle in range(CYCLES):
        senders = [Sender(daemon, seed + cycle * SENDERS + number) for number in range(SENDERS)]
        for sender in senders:
            sender.start()
        time.sleep(rng.uniform(0.02, 0.25))  # the random moment of the crash
        daemon.kill()
        for sender in senders:
            sender.join()
        acknowledged = [trace_id for sender in senders for trace_id in sender.acknowledged]
        everything += acknowledged
        daemon.start()
        host, port = daemon.address["http"].rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        check = acknowledged if cycle < CYCLES - 1 else everything
        missing = [t.hex() for t in check if spans_of(daemon, connection, t) != 3]
        assert not missing, f"seed {seed}, cycle {cycle}: {len(missing)} of {len(check)} lost: {missing[:5]}"
        ledger = daemon.ledger()
        assert ledger["balanced"] is True, f"seed {seed}, cycle {cycle}: {ledger}"
        assert ledger["spans"]["stored"] >= 3 * len(everything)
    assert everything
    print(f"{CYCLES} crashes in {time.monotonic() - began:.0f} s, {len(everything)} acknowledged traces, all found")
    assert daemon.stop() == 0
