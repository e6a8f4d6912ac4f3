"""Debian's Prometheus scrapes every format; prometheus-client reads exemplars; promtool makes blocks of our text."""
import http.server
import shutil
import socket
import subprocess
import threading
import time

import pytest
import requests

from daemon import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Scraper:
    """Debian's Prometheus, scraping one address each second."""

    def __init__(self, folder, target):
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\nscrape_configs:\n"
            f"  - job_name: crest\n    static_configs: [{{targets: ['{target}']}}]\n")
        self.port = free_port()
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn",
             "--enable-feature=native-histograms,exemplar-storage"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __call__(self, expression, path="query", **more):
        reply = requests.get(
            f"http://127.0.0.1:{self.port}/api/v1/{path}", params={"query": expression, **more}, timeout=10)
        data = reply.json()["data"]
        return data["result"] if isinstance(data, dict) else data

    def exemplars(self, selector):
        now = time.time()
        return self(selector, "query_exemplars", start=now - 300, end=now + 300)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


@pytest.fixture
def prometheus(daemon, tmp_path):
    scraper = Scraper(tmp_path / "prometheus", daemon.address["http"])
    yield scraper
    scraper.stop()


class AcceptProxy(http.server.ThreadingHTTPServer):
    """Hands scrapes on with an Accept of its own, and keeps the content types that come back."""

    def __init__(self, target, accept):
        self.target, self.accept, self.types = target, accept, set()
        super().__init__(("127.0.0.1", 0), ProxyHandler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class ProxyHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        reply = requests.get(
            f"http://{self.server.target}{self.path}", headers={"Accept": self.server.accept}, timeout=10)
        self.server.types.add(reply.headers["content-type"].split(";")[0])
        self.send_response(reply.status_code)
        self.send_header("Content-Type", reply.headers["content-type"])
        self.send_header("Content-Length", str(len(reply.content)))
        self.end_headers()
        self.wfile.write(reply.content)

    def log_message(self, *arguments):
        pass


PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


@pytest.mark.parametrize("accept, kind, has_exemplars", [
    ("text/plain;version=0.0.4", "text/plain", False),
    ("application/openmetrics-text;version=1.0.0", "application/openmetrics-text", True),
    (PROTOBUF, "application/vnd.google.protobuf", False)])
def test_every_format_is_scraped(daemon, tmp_path, accept, kind, has_exemplars):
    proxy = AcceptProxy(daemon.address["http"], accept)
    scraper = Scraper(tmp_path / "prometheus", f"127.0.0.1:{proxy.server_address[1]}")
    try:
        lines = [f"lag:{value}|ms" for value in range(1, 201)] + ["orders:5|c", "depth:7.5|g"]
        daemon.post("/api/v1/statsd", data="\n".join(lines + [f"lag:150|ms|#trace_id:{TRACE}"]))
        eventually(lambda: [row["value"][1] for row in scraper("orders_total")] == ["5"])
        assert [row["value"][1] for row in scraper('up{job="crest"}')] == ["1"]
        assert [row["value"][1] for row in scraper("depth")] == ["7.5"]
        if kind == "application/vnd.google.protobuf":  # of the two forms, 2.42 keeps the native one
            assert scraper("histogram_count(lag_seconds)")[0]["value"][1] == "201"
            assert abs(float(scraper("histogram_sum(lag_seconds)")[0]["value"][1]) - 20.25) < 1e-9
        else:
            assert scraper("lag_seconds_count")[0]["value"][1] == "201"
            assert abs(float(scraper("lag_seconds_sum")[0]["value"][1]) - 20.25) < 1e-9
            median = float(scraper("histogram_quantile(0.5, lag_seconds_bucket)")[0]["value"][1])
            assert 0.05 < median < 0.25  # as exact as the classic bounds are
        if has_exemplars:
            found = eventually(lambda: scraper.exemplars("lag_seconds_bucket"))
            assert [row["labels"] for series in found for row in series["exemplars"]] == [{"trace_id": TRACE}]
            assert float(found[0]["exemplars"][0]["value"]) == 0.15
        assert proxy.types == {kind}
    finally:
        scraper.stop()
        proxy.shutdown()
        proxy.server_close()


def test_promtool_makes_blocks_of_our_openmetrics(daemon, tmp_path):
    daemon.post("/api/v1/statsd", data="lag:20|ms\nlag:45|ms\norders:5|c|#shop:a b\\\"c\ndepth:-2.5|g")
    eventually(lambda: "orders_total" in daemon.get("/metrics").text)
    text = daemon.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}).text
    stamped = []
    for line in text.splitlines():
        # A sample is name, value and maybe an exemplar; blocks want a timestamp after the value.
        sample, mark, exemplar = line.partition(" # ")
        if line.startswith("#"):
            stamped.append(line)
        else:
            stamped.append(f"{sample} {int(time.time())}{mark}{exemplar}")
    source = tmp_path / "metrics.om"
    source.write_text("\n".join(stamped) + "\n")
    made = subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(tmp_path / "blocks")],
        capture_output=True, text=True, timeout=60)
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / "blocks").glob("*/meta.json"))


def test_native_histograms_are_scraped(daemon, prometheus):
    lines = "\n".join(f"lag:{value}|ms" for value in range(1, 1001))
    daemon.post("/api/v1/statsd", data=lines + f"\norders:5|c\npart:1|ms|@0.15\nlag:500|ms|#trace_id:{TRACE}")
    eventually(lambda: [row["value"][1] for row in prometheus('up{job="crest"}')] == ["1"])
    for quantile in (0.1, 0.5, 0.9, 0.99):
        found = eventually(lambda: prometheus(f"histogram_quantile({quantile}, lag_seconds)"))
        assert abs(float(found[0]["value"][1]) - quantile) / quantile < 0.03
    assert float(prometheus("histogram_count(lag_seconds)")[0]["value"][1]) == 1001
    assert abs(float(prometheus("histogram_count(part_seconds)")[0]["value"][1]) - 1 / 0.15) < 1e-9
    assert prometheus("orders_total")[0]["value"][1] == "5"


def test_protobuf_holds_classic_and_native(daemon):
    daemon.post("/api/v1/statsd", data="lag:20|ms")
    eventually(lambda: "lag_seconds_count" in daemon.get("/metrics").text)
    reply = daemon.get("/metrics", headers={
        "Accept": PROTOBUF})
    assert reply.headers["content-type"].startswith("application/vnd.google.protobuf")
    assert b"lag_seconds" in reply.content


def test_exemplars_in_openmetrics(daemon):
    from prometheus_client.openmetrics.parser import text_string_to_metric_families
    from prometheus_client.parser import text_string_to_metric_families as plain
    daemon.post("/api/v1/statsd", data=f"lag:20|ms|#trace_id:{TRACE}\norders,trace_id={TRACE}:1|c")
    eventually(lambda: "orders_total" in daemon.get("/metrics").text)
    text = daemon.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}).text
    found = {sample.name: sample.exemplar for family in text_string_to_metric_families(text)
             for sample in family.samples if sample.exemplar}
    assert found["lag_seconds_bucket"].labels == found["orders_total"].labels == {"trace_id": TRACE}
    assert found["lag_seconds_bucket"].value == 0.02
    assert len(list(plain(daemon.get("/metrics").text))) > 10
