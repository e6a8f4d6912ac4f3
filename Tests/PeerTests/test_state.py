"""A real Prometheus watches over restarts and kill -9: no counter goes back, and what a crash cost is counted."""
import random
import socket
import time

from daemon import Daemon, eventually
from test_prometheus import Prometheus, free_port
from test_statsd import sample, scrape

SEED = 20261112


class Sender:
    """One socket that sends counter, timer and gauge lines and knows how many."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.counted = 0
        self.random = random.Random(SEED)

    def burst(self, datagrams=50):
        for _ in range(datagrams):
            lines = ["x:1|c|#region:eu", "t:12|ms", f"level:{self.random.randrange(100)}|g"]
            self.socket.sendto("\n".join(lines).encode(), self.daemon.udp())
            self.counted += 1
            time.sleep(0.0005)

    def until_seen(self, lines):
        eventually(lambda: self.daemon.ledger()["lines"]["applied"] >= lines)


def shown(daemon):
    return sample(scrape(daemon), "x_total", region="eu")


def lost(daemon):
    return daemon.ledger()["lines"]["lostAtCrash"]


def test_a_clean_restart_keeps_everything(daemon):
    sender = Sender(daemon)
    sender.burst(20)
    sender.until_seen(60)
    assert daemon.stop() == 0
    daemon.start()
    families = scrape(daemon)
    assert sample(families, "x_total", region="eu") == 20
    assert sample(families, "t_seconds_count") == 20
    assert abs(sample(families, "t_seconds_sum") - 20 * 0.012) < 1e-9
    assert sample(families, "t_seconds_bucket", le="0.025") == 20
    assert lost(daemon) == 0
    sender.burst(5)
    eventually(lambda: shown(daemon) == 25)


def test_prometheus_sees_no_reset(tmp_path):
    port = free_port()
    daemon = Daemon(tmp_path / "data", f"--http=127.0.0.1:{port}")
    prometheus = Prometheus(tmp_path, daemon.address["http"])
    rng = random.Random(SEED)
    sender = Sender(daemon)
    last = 0
    try:
        for cycle in range(6):
            applied = 0
            end = time.monotonic() + rng.uniform(0.8, 2.8)  # the random moment of the end
            while time.monotonic() < end:
                sender.burst(20)
                applied += 60
            # All of it was read from the socket: from here on a kill costs only what is not logged yet.
            sender.until_seen(applied)
            before = shown(daemon) if cycle else 0
            if cycle % 3 == 2:
                assert daemon.stop() == 0
            else:
                daemon.kill()
            daemon.start()
            after = shown(daemon)
            context = f"seed {SEED}, cycle {cycle}: sent {sender.counted}, shown {after}, lost {lost(daemon)}"
            assert after >= before and after >= last, context
            last = after
            # Three lines make one count.
            assert sender.counted == after + lost(daemon) / 3, context
        time.sleep(2.5)  # two more scrapes
        assert prometheus.value("resets(x_total[5m])") == 0
        assert prometheus.value("resets(t_seconds_count[5m])") == 0
        assert prometheus.value("resets(t_seconds_sum[5m])") == 0
        eventually(lambda: prometheus.value("x_total") == last)
        samples = [float(value) for _, value in prometheus.query("x_total[5m]")[0]["values"]]
        assert samples == sorted(samples) and len(samples) > 5
    finally:
        prometheus.stop()
        daemon.stop()


def test_a_line_is_in_every_scrape_that_starts_later(daemon):
    for number in range(1, 6):
        daemon.post("/api/v1/statsd", data="late:1|c\n")
        time.sleep(1.5)  # the promise under test
        assert sample(scrape(daemon), "late_total") == number


def test_memory_mode_writes_no_log(tmp_path):
    daemon = Daemon(tmp_path / "data", "--durability=memory")
    daemon.post("/api/v1/statsd", data="quick:1|c\n")
    assert sample(scrape(daemon), "quick_total") == 1
    assert daemon.stop() == 0
    assert not list((tmp_path / "data" / "metrics").glob("*"))
