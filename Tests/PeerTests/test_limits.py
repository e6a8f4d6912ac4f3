"""Limits, expiry and reports of metric series, as Prometheus and the crest command see them."""
import json
import socket
import time

import pytest

from daemon import Daemon, crest, eventually
from test_prometheus import Prometheus, free_port


def send(daemon, lines):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(lines.encode(), daemon.udp())


def metric(daemon, name):
    """The value of a sample line; None when it is not there."""
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def test_a_quiet_counter_goes_stale_and_returns_without_a_reset(tmp_path):
    daemon = Daemon(
        tmp_path / "data", f"--http=127.0.0.1:{free_port()}", "--expire-counters=4s", "--expire-gauges=4s")
    prometheus = Prometheus(tmp_path, daemon.address["http"])
    try:
        eventually(lambda: prometheus.value('up{job="crest"}') == 1)
        send(daemon, "orders:40|c\nstock:7|g\n")
        eventually(lambda: prometheus.value("orders_total") == 40 and prometheus.value("stock") == 7)
        # Absent in a scrape is stale at once: the five minutes of look-back would still show it otherwise.
        eventually(lambda: prometheus.value("orders_total") is None and prometheus.value("stock") is None)
        assert metric(daemon, "orders_total") is None
        assert metric(daemon, "crest_series_expired_total") >= 2
        send(daemon, "orders:2|c\n")
        eventually(lambda: prometheus.value("orders_total") == 42)
        eventually(lambda: metric(daemon, "orders_total") is None)
        # What has expired does not return with the process, and what it had counted is not lost with it.
        daemon.kill()
        daemon.start()
        assert metric(daemon, "orders_total") is None
        send(daemon, "orders:3|c\n")
        eventually(lambda: prometheus.value("orders_total") == 45)
        assert prometheus.value("resets(orders_total[2m])") == 0
        assert prometheus.value("max_over_time(orders_total[2m]) - min_over_time(orders_total[2m])") == 5
    finally:
        prometheus.stop()
        assert daemon.stop() == 0


def test_the_ttl_of_a_mapping_rule(tmp_path):
    mapping = tmp_path / "m.yaml"
    mapping.write_text("mappings:\n- match: short.*\n  name: brief\n  labels: {kind: $1}\n  ttl: 3s\n")
    daemon = Daemon(tmp_path / "data", f"--statsd-mapping={mapping}")
    send(daemon, "short.a:1|c\nlong.a:1|c\n")
    eventually(lambda: metric(daemon, 'brief_total{kind="a"}') == 1)
    eventually(lambda: metric(daemon, 'brief_total{kind="a"}') is None, seconds=10)
    assert metric(daemon, "long_a_total") == 1
    send(daemon, "short.a:2|c\n")
    eventually(lambda: metric(daemon, 'brief_total{kind="a"}') == 3)
    # The rule's time is in the log: the series goes after a restart, without another line, too.
    daemon.kill()
    daemon.start()
    eventually(lambda: metric(daemon, 'brief_total{kind="a"}') is None, seconds=10)
    assert metric(daemon, "long_a_total") == 1
    assert daemon.stop() == 0


def test_a_removed_counter_goes_on_through_kills(tmp_path):
    daemon = Daemon(tmp_path / "data", f"--http=127.0.0.1:{free_port()}", "--expire-counters=4s")
    prometheus = Prometheus(tmp_path, daemon.address["http"])
    try:
        eventually(lambda: prometheus.value('up{job="crest"}') == 1)
        send(daemon, "orders:40|c|#a:b\n")
        eventually(lambda: prometheus.value('orders_total{a="b"}') == 40)
        # A minute in live windows, ten seconds of waiting for company, and each receiver's consent.
        eventually(lambda: metric(daemon, "crest_series_removed_total") == 1, seconds=110, pause=1)
        assert metric(daemon, "crest_series") == 0
        daemon.kill()
        daemon.start()
        assert metric(daemon, "crest_series") == 0 and metric(daemon, "crest_series_remembered") == 1
        send(daemon, "other:1|c\norders:2|c|#a:b\n")
        eventually(lambda: prometheus.value('orders_total{a="b"}') == 42)
        assert metric(daemon, "other_total") == 1
        assert prometheus.value('resets(orders_total{a="b"}[5m])') == 0
        daemon.kill()
        daemon.start()
        send(daemon, "orders:1|c|#a:b\n")
        eventually(lambda: metric(daemon, 'orders_total{a="b"}') == 43)
    finally:
        prometheus.stop()
        assert daemon.stop() == 0


@pytest.fixture
def bounded(tmp_path):
    daemon = Daemon(
        tmp_path / "data", "--series-limit=500", "--series-limit-family=100", "--series-limit-source=150",
        "--overflow-labels=service")
    yield daemon
    assert daemon.stop() == 0


def test_beyond_a_limit_sums_are_exact_and_the_offender_is_named(bounded):
    lines = [f"http.requests:1|c|#service:shop,user:u{i}" for i in range(300)]
    lines += [f"jobs:2|c|#service:shop,id:{i}" for i in range(100)]
    lines += ["orders:1|g", "orders:5|ms"]
    reply = bounded.post("/api/v1/statsd", data="\n".join(lines))
    assert reply.status_code == 202
    eventually(lambda: metric(bounded, 'jobs_total{crest_overflow="true",service="shop"}'))
    text = bounded.get("/metrics").text
    totals = {"http_requests_total": 0.0, "jobs_total": 0.0}
    for line in text.splitlines():
        name = line.split("{")[0]
        if name in totals and not line.startswith("#"):
            totals[name] += float(line.rsplit(" ", 1)[1])
    assert totals == {"http_requests_total": 300, "jobs_total": 200}
    assert metric(bounded, 'http_requests_total{crest_overflow="true",service="shop"}') == 200
    assert metric(bounded, 'crest_series_overflowed_total{limit="family"}') == 200
    assert metric(bounded, 'crest_series_overflowed_total{limit="source"}') == 50
    report = bounded.json("/api/crest/v1/metrics/cardinality?limit=2")
    worst = report["families"][0]
    assert (worst["name"], worst["series"], worst["refused"]) == ("http_requests_total", 100, 200)
    assert worst["labels"][0] == {"name": "user", "values": 100, "example": "u0"}
    assert report["sources"][0]["name"] == "shop" and report["sources"][0]["series"] == 150
    shown = crest("metrics", "cardinality", server=bounded.url(""))
    assert shown.returncode == 0 and "user=100" in shown.stdout and "shop" in shown.stdout
    assert bounded.get("/api/crest/v1/metrics/cardinality?limit=0").status_code == 400


def test_conflicts_are_listed(bounded):
    send(bounded, "orders:1|g\norders:5|h|#k:v\n")
    listed = eventually(lambda: bounded.json("/api/crest/v1/metrics/conflicts")["conflicts"])
    assert listed[0]["kept"] == "orders" and listed[0]["keptType"] == "gauge"
    assert listed[0]["renamed"] == "orders_histogram" and listed[0]["example"] == 'orders{k="v"}'
    shown = crest("metrics", "conflicts", server=bounded.url(""))
    assert shown.returncode == 0 and "orders_histogram (histogram)" in shown.stdout


def test_top_shows_the_rate(bounded):
    end = time.monotonic() + 8
    while time.monotonic() < end:
        send(bounded, "busy:10|c\nidle:1|c\n")
        time.sleep(0.1)
    shown = crest("metrics", "top", "--once", "-o", "json", server=bounded.url(""))
    assert shown.returncode == 0, shown.stderr
    rows = {row["name"]: row["perSecond"] for row in json.loads(shown.stdout)["rows"]}
    assert 50 < rows["busy_total"] < 150 and rows["busy_total"] > 5 * rows["idle_total"]
    table = crest("metrics", "top", "--series", "--once", server=bounded.url(""))
    assert "busy_total" in table.stdout.splitlines()[1]
    assert bounded.get("/api/crest/v1/metrics/top?by=colour").status_code == 400
