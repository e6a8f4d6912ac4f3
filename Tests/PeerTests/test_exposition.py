"""Debian's Prometheus scrapes native histograms in protobuf; prometheus-client reads exemplars in OpenMetrics."""
import shutil
import socket
import subprocess

import pytest
import requests

from daemon import eventually

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def prometheus(daemon, tmp_path):
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\nscrape_configs:\n"
        "  - job_name: crest\n    scrape_classic_histograms: true\n"
        f"    static_configs: [{{targets: ['{daemon.address['http']}']}}]\n")
    accepted = subprocess.run(
        ["promtool", "check", "config", str(config)], capture_output=True, text=True, timeout=60)
    if accepted.returncode != 0:  # 2.42 has no such option: it keeps the native form alone
        config.write_text(config.read_text().replace("    scrape_classic_histograms: true\n", ""))
    port = free_port()
    process = subprocess.Popen(
        [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
         "--enable-feature=native-histograms,exemplar-storage"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(expression, path="query"):
        reply = requests.get(f"http://127.0.0.1:{port}/api/v1/{path}", params={"query": expression}, timeout=10)
        return reply.json()["data"]["result"]

    yield query
    process.terminate()
    process.wait(timeout=20)


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
        "Accept": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"})
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
