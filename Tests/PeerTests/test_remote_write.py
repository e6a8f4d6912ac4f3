"""Debian's Prometheus sends what it scrapes by remote write 1.0; version 2.0 is sent by hand."""
import http.server
import math
import shutil
import struct
import subprocess
import threading
import time

import pytest
import requests
from datadog.dogstatsd import DogStatsd

from daemon import Daemon, eventually
from test_prometheus import free_port


class Target(http.server.BaseHTTPRequestHandler):
    """An application that counts: 10 orders a scrape, a gauge, a classic histogram and a summary."""
    scrapes = 0

    def do_GET(self):
        Target.scrapes += 1
        n = Target.scrapes
        body = (
            "# HELP orders_total Orders.\n# TYPE orders_total counter\n"
            f'orders_total{{region="eu"}} {10 * n}\norders_total{{region="us"}} {n}\n'
            f"# TYPE stock gauge\nstock {1000 - n}\n# TYPE broken gauge\nbroken NaN\n"
            "# TYPE lag_seconds histogram\n"
            f'lag_seconds_bucket{{le="0.5"}} {3 * n}\nlag_seconds_bucket{{le="1"}} {4 * n}\n'
            f'lag_seconds_bucket{{le="+Inf"}} {5 * n}\nlag_seconds_sum {2.5 * n}\nlag_seconds_count {5 * n}\n'
            f'# TYPE size summary\nsize{{quantile="0.5"}} 7\nsize_sum {7 * n}\nsize_count {n}\n').encode()
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Sender:
    """Prometheus that scrapes the application and a crestd with native histograms, and writes to another crestd."""

    def __init__(self, folder, application, scraped, receiver):
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, external_labels: {replica: a}}\n"
            "scrape_configs:\n"
            f"  - {{job_name: shop, static_configs: [{{targets: ['{application}']}}]}}\n"
            f"  - {{job_name: upstream, static_configs: [{{targets: ['{scraped}']}}]}}\n"
            "remote_write:\n"
            f"  - url: http://{receiver}/api/v1/write\n"
            "    send_native_histograms: true\n"
            "    queue_config: {batch_send_deadline: 200ms, max_shards: 4, min_shards: 2}\n"
            "    metadata_config: {send: true, send_interval: 1s}\n")
        self.port = free_port()
        self.log = open(folder / "prometheus.log", "w+")
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--enable-feature=native-histograms"],
            stdout=self.log, stderr=self.log)

    def query(self, expression, at=None):
        return ask(f"http://127.0.0.1:{self.port}", expression, at)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def ask(root, expression, at=None):
    parameters = {"query": expression, **({"time": at} if at else {})}
    body = requests.get(f"{root}/api/v1/query", params=parameters, timeout=10).json()
    assert body["status"] == "success", f"{expression}: {body}"
    return {tuple(sorted(one["metric"].items())): float(one["value"][1]) for one in body["data"]["result"]}


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    folder = tmp_path_factory.mktemp("remote_write")
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    upstream, receiver = Daemon(folder / "upstream"), Daemon(folder / "receiver")
    sender = Sender(
        folder, f"127.0.0.1:{application.server_port}", upstream.address["http"], receiver.address["http"])
    yield upstream, receiver, sender
    sender.stop()
    application.shutdown()
    for daemon in (upstream, receiver):
        daemon.kill()


def samples(daemon):
    text = daemon.get("/metrics").text
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))


SHOP = 'instance="{0}",job="shop",{1}replica="a"'


def test_what_prometheus_sends_is_on_the_scrape_and_in_queries(chain):
    upstream, receiver, sender = chain
    host, port = upstream.udp()
    client = DogStatsd(host=host, port=port, disable_telemetry=True, disable_buffering=True)
    for value in range(1, 101):
        client.timing("checkout", value)

    def root(daemon):
        return daemon.url("/prometheus")
    eventually(lambda: sum(ask(root(receiver), "orders_total").values()) >= 11 * 12, seconds=60)

    # The same numbers, and never more than the application has counted; shards send them at their own time.
    orders = {dict(key)["region"]: value for key, value in ask(root(receiver), "orders_total").items()}
    assert orders["eu"] % 10 == 0 and abs(orders["eu"] / 10 - orders["us"]) <= 2 and orders["us"] <= Target.scrapes
    shown = samples(receiver)
    instance = next(dict(key)["instance"] for key in ask(root(receiver), "stock"))
    labels = f'instance="{instance}",job="shop",replica="a"'
    count = float(shown[f"lag_seconds_count{{{labels}}}"])
    assert count % 5 == 0 and 0 < count <= 5 * Target.scrapes
    bucket = float(shown[f'lag_seconds_bucket{{instance="{instance}",job="shop",le="0.5",replica="a"}}'])
    assert bucket % 3 == 0 and abs(bucket / 3 - count / 5) <= 2
    assert shown[f'size{{instance="{instance}",job="shop",quantile="0.5",replica="a"}}'] == "7"
    assert math.isnan(float(shown[f"broken{{{labels}}}"]))
    assert float(shown[f'up{{{labels}}}']) == 1

    # The same questions to both: scrape times differ by up to a second or two.
    for expression, tolerance in [
        ("sum by (region) (rate(orders_total[10s]))", 0.35),
        ("histogram_quantile(0.5, sum by (le) (rate(lag_seconds_bucket[10s])))", 0.02),
        ("sum(increase(lag_seconds_count[10s]))", 0.35), ("avg(stock)", 0.01), ("avg_over_time(size[5s])", 0.01),
        ("rate(size_sum[10s]) / rate(size_count[10s])", 0.35),
    ]:
        def drop(answer):
            return {tuple(item for item in key if item[0] != "replica"): value for key, value in answer.items()}

        def same():
            at = time.time() - 2
            ours, theirs = drop(ask(root(receiver), expression, at)), drop(sender.query(expression, at))
            assert ours.keys() == theirs.keys() and ours, f"{expression}: {ours} {theirs}"
            for key, value in theirs.items():
                assert math.isclose(ours[key], value, rel_tol=tolerance), f"{expression}: {ours} {theirs}"
            return True
        eventually(same, seconds=15, pause=0.5)

    # Native histograms all the way: StatsD, scrape by protobuf, remote write, scrape.
    def checkout():
        found = {name: value for name, value in samples(receiver).items() if name.startswith("checkout_seconds_")}
        whole = [value for name, value in found.items() if name.startswith("checkout_seconds_count")]
        return found if whole == ["100"] else None
    found = eventually(checkout, seconds=30)
    total = next(float(value) for name, value in found.items() if name.startswith("checkout_seconds_sum"))
    assert math.isclose(total, 5.05)
    buckets = [float(value) for name, value in found.items() if "_bucket{" in name]
    assert buckets[-1] == 100 and buckets == sorted(buckets) and len(set(buckets)) > 3


def test_nothing_was_refused_and_the_ledger_balances(chain):
    _, receiver, sender = chain
    eventually(lambda: sender.query("prometheus_remote_storage_samples_total") is not None)
    ledger = receiver.ledger()
    assert ledger["balanced"], ledger
    assert not {key: value for key, value in ledger["points"]["rejected"].items() if value and key != "repeated"}, ledger
    assert receiver.get("/metrics").text.count("crest_exposition_family_errors 0") == 1
    # Other names than promtool likes are the sender's, but every line is read.
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=receiver.get("/metrics").text, capture_output=True, text=True)
    assert check.returncode in (0, 3), check.stderr[:2000]


def test_counters_go_on_after_a_restart(chain):
    upstream, receiver, sender = chain
    before = ask(receiver.url("/prometheus"), "sum(orders_total)")[()]
    flags = [f"--http={receiver.address['http']}"]
    receiver.kill()
    receiver.flags = flags
    receiver.start()
    after = eventually(lambda: (lambda value: value if value > before else None)(
        ask(receiver.url("/prometheus"), "sum(orders_total)").get((), 0)), seconds=60)
    assert after <= 11 * Target.scrapes


# Version 2.0 by hand.

def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value & (1 << 64) - 1)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def snappy(body):
    """One literal."""
    return varint(len(body)) + bytes([62 << 2]) + struct.pack("<I", len(body) - 1)[:3] + body


def zigzag(value):
    return varint(value << 1 ^ value >> 63 if value >= 0 else (-value << 1) - 1)


def test_version_two(tmp_path):
    daemon = Daemon(tmp_path / "data")
    try:
        now = int(time.time() * 1000)
        symbols = ["", "__name__", "hits_total", "job", "web", "Hits.", "size", "trace_id",
                   "4bf92f3577b34da6a3ce929d0e0e4736"]
        counter = (field(1, bytes([1, 2, 3, 4])) + field(2, field(1, 5.0) + field(2, now) + field(3, now - 5000))
                   + field(4, field(1, bytes([7, 8])) + field(2, 1.0) + field(3, now)) + field(5, field(1, 1) + field(3, 5)))
        buckets = zigzag(1) + zigzag(2)
        histogram = (field(1, 4) + field(3, 9.0) + field(4, 0) + field(5, 2.0 ** -128) + field(6, 0)
                     + field(11, varint(1 << 3) + zigzag(1) + field(2, 2)) + field(12, buckets) + field(15, now))
        native = field(1, bytes([1, 6, 3, 4])) + field(3, histogram) + field(5, field(1, 3))
        body = b"".join(field(4, symbol) for symbol in symbols) + field(5, counter) + field(5, native)
        headers = {"content-encoding": "snappy", "x-prometheus-remote-write-version": "2.0.0",
                   "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request"}
        answer = daemon.post("/api/v1/write", data=snappy(body), headers=headers)
        assert answer.status_code == 204, answer.text
        written = [answer.headers[f"X-Prometheus-Remote-Write-{what}-Written"]
                   for what in ("Samples", "Histograms", "Exemplars")]
        assert written == ["1", "1", "1"]

        def shown():
            values = samples(daemon)
            return values if 'hits_total{job="web"}' in values else None
        values = eventually(shown)
        assert values['hits_total{job="web"}'] == "5" and values['size_count{job="web"}'] == "4"
        openmetrics = daemon.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0"}).text
        assert 'trace_id="4bf92f3577b34da6a3ce929d0e0e4736"' in openmetrics
        for media_type, status in [("application/x-protobuf;proto=io.prometheus.write.v3.Request", 415),
                                   ("text/plain", 415)]:
            bad = daemon.post("/api/v1/write", data=snappy(body), headers={**headers, "content-type": media_type})
            assert bad.status_code == status, (media_type, bad.text)
        # The same under the name of version 1 is told apart, not taken for an empty request.
        other = daemon.post(
            "/api/v1/write", data=snappy(body), headers={**headers, "content-type": "application/x-protobuf"})
        assert other.status_code == 400 and "content type says 1.0" in other.text
        first = daemon.post("/api/v1/write", data=snappy(field(1, b"")), headers=headers)
        assert first.status_code == 400 and "content type says 2.0" in first.text
    finally:
        daemon.kill()
