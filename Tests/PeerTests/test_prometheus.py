"""Debian's Prometheus scrapes crestd for real; promtool judges what we ship; every dashboard query is run."""
import json
import re
import shutil
import subprocess
import time

import pytest
import requests

from daemon import BIN, ROOT, Daemon, eventually

DASHBOARDS = ROOT / "dashboards"


def promtool(*arguments, **options):
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120, **options)


def test_rules_are_valid():
    result = promtool("check", "rules", str(DASHBOARDS / "alerts.yml"))
    assert result.returncode == 0, result.stdout + result.stderr


def test_rules_fire_when_they_should():
    result = promtool("test", "rules", str(DASHBOARDS / "alerts_test.yml"), cwd=DASHBOARDS)
    assert result.returncode == 0, result.stdout + result.stderr


class Prometheus:
    def __init__(self, folder, target):
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: ['{DASHBOARDS / 'alerts.yml'}']\n"
            "scrape_configs:\n"
            f"  - {{job_name: crest, static_configs: [{{targets: ['{target}']}}]}}\n")
        self.port = free_port()
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def query(self, expression):
        reply = requests.get(
            f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": expression}, timeout=10)
        body = reply.json()
        assert body["status"] == "success", f"{expression}: {body}"
        return body["data"]["result"]

    def value(self, expression):
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """crestd with promo-shop's load and a Prometheus that has scraped it for a while; and the shop's totals."""
    folder = tmp_path_factory.mktemp("prometheus")
    daemon = Daemon(folder / "data")
    prometheus = Prometheus(folder, daemon.address["http"])
    host, port = daemon.udp()
    result = subprocess.run(
        [str(BIN / "promo-shop"), "--rate", "40", "--peak", "5x", "--duration", "20s", "--seed", "7",
         "--otlp", daemon.url("", "otlp-http"), "--statsd", f"{host}:{port}"],
        capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr[-2000:]
    totals = json.loads(result.stdout)
    yield daemon, prometheus, totals
    prometheus.stop()
    daemon.stop()


def test_target_is_up_and_values_are_right(shop):
    daemon, prometheus, totals = shop
    eventually(lambda: prometheus.value('up{job="crest"}') == 1)
    for counter, total in totals["counters"].items():
        name = re.sub("[^a-zA-Z0-9_]", "_", counter) + "_total"
        eventually(lambda: abs((prometheus.value(f"sum({name})") or 0) - total) < 1e-6, seconds=15)
    eventually(lambda: prometheus.value("crest_spans_received_total") == totals["spans_acknowledged"])
    assert prometheus.value("sum(resets(crest_spans_received_total[1m]))") == 0


def test_ledger_agrees_with_the_sender(shop):
    daemon, _, totals = shop
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(daemon.ledger()))
    assert totals["spans_dropped"] == 0
    assert ledger["spans"]["stored"] == totals["spans_acknowledged"] == totals["spans"]
    assert ledger["lines"]["seen"] == totals["statsd_lines"]
    assert ledger["datagrams"]["received"] == totals["statsd_datagrams"]


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0"])
def test_promtool_accepts_the_scrape(shop, accept):
    daemon, _, _ = shop
    text = daemon.get("/metrics", headers={"Accept": accept}).text
    if accept.startswith("application"):
        # promtool reads the text format only; the OpenMetrics parser of prometheus-client judges this one.
        from prometheus_client.openmetrics.parser import text_string_to_metric_families
        assert len(list(text_string_to_metric_families(text))) > 10
        return
    result = promtool("check", "metrics", input=text)
    assert result.returncode == 0, result.stdout + result.stderr


def dashboard_queries():
    found = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                found.append(pytest.param(
                    target["expr"], panel.get("description", ""), id=f"{path.stem}: {panel['title']}"))
    return found


@pytest.mark.parametrize("expression, description", dashboard_queries())
def test_every_dashboard_query_returns_data(shop, expression, description):
    _, prometheus, _ = shop
    query = re.sub(r"\$__rate_interval|\$__interval|\$__range", "15s", expression)
    query = re.sub(r'=~?"\$\w+"', '=~".*"', query)
    if "may be empty" in description.lower():
        prometheus.query(query)
        return
    eventually(lambda: prometheus.query(query), seconds=15)


def test_a_restart_of_prometheus_target_is_clean(shop):
    daemon, prometheus, _ = shop
    samples = prometheus.value("scrape_samples_scraped")
    assert samples and samples > 50
    assert prometheus.query("ALERTS") is not None
