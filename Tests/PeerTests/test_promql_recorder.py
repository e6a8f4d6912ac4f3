"""PromQL over the flight recorder, beside a real Prometheus that scrapes the same crestd while traffic goes on."""
import math
import threading
import time

import pytest
import requests
from datadog.dogstatsd import DogStatsd

from daemon import Daemon, eventually
from test_prometheus import Prometheus

NAMES = ("orders_total", "stock", "load_bucket", "load_sum", "load_count", "checkout_seconds_bucket",
         "checkout_seconds_sum", "checkout_seconds_count")
# How far apart the answers may be: a scrape sees a second up to two seconds later than the recorder has it.
RATES, LEVELS = 0.2, 0.05
QUESTIONS = [
    ("sum(increase(orders_total[10s]))", RATES), ("rate(orders_total[10s])", RATES),
    ("sum by (region) (rate(orders_total[10s]))", RATES),
    ("sum by (region) (rate(orders_total[10s])) / ignoring(region) group_left sum(rate(orders_total[10s]))", RATES),
    ("histogram_quantile(0.5, sum by (le) (rate(load_bucket[10s])))", LEVELS),
    ("histogram_quantile(0.99, rate(checkout_seconds_bucket[10s]))", LEVELS),
    ("rate(load_sum[10s]) / rate(load_count[10s])", RATES), ("sum(rate(checkout_seconds_count[10s]))", RATES),
    ("stock", LEVELS), ("avg_over_time(stock[10s])", LEVELS), ("max by (site) (stock)", LEVELS),
    ("count(load_bucket)", 0), ("topk(1, sum by (region) (increase(orders_total[10s])))", RATES),
]


class Traffic(threading.Thread):
    """Ten times a second: 1 order in eu and 3 in us, a gauge that falls slowly, 20 loads and 5 checkouts."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        host, port = daemon.udp()
        self.client = DogStatsd(host=host, port=port, disable_telemetry=True, disable_buffering=True)
        self.stopped = threading.Event()

    def run(self):
        turn, begun = 0, time.monotonic()
        while not self.stopped.wait(max(0.0, begun + turn / 10 - time.monotonic())):
            turn += 1
            self.client.increment("orders", 1, tags=["region:eu"])
            self.client.increment("orders", 3, tags=["region:us"])
            self.client.gauge("stock", 10_000 - turn, tags=["site:main"])
            for value in range(1, 21):
                self.client.histogram("load", value)
            for value in (10, 20, 30, 40, 200):
                self.client.timing("checkout", value)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorder")
    daemon = Daemon(folder / "data")
    prometheus = Prometheus(folder, daemon.address["http"])
    traffic = Traffic(daemon)
    traffic.start()
    # Twenty seconds of orders in both.
    eventually(lambda: (prometheus.value("sum(orders_total)") or 0) >= 800, seconds=60)
    yield daemon, prometheus
    traffic.stopped.set()
    prometheus.stop()
    daemon.kill()


def answer(root, expression, at):
    body = requests.get(f"{root}/api/v1/query", params={"query": expression, "time": at}, timeout=10).json()
    assert body["status"] == "success", f"{expression}: {body}"
    return {
        tuple(sorted(item for item in series["metric"].items() if item[0] not in ("job", "instance"))):
            float(series["value"][1]) for series in body["data"]["result"]}


@pytest.mark.parametrize("expression, tolerance", QUESTIONS)
def test_the_same_answers(both, expression, tolerance):
    daemon, prometheus = both

    def same():
        at = time.time() - 3
        ours = answer(daemon.url("/prometheus"), expression, at)
        theirs = answer(f"http://127.0.0.1:{prometheus.port}", expression, at)
        assert theirs and ours.keys() == theirs.keys(), f"{ours} {theirs}"
        for labels, value in theirs.items():
            assert math.isclose(ours[labels], value, rel_tol=tolerance), f"{labels}: {ours[labels]}, Prometheus {value}"
        return True
    eventually(same, seconds=15, pause=0.5)


def test_a_range_has_a_point_a_second(both):
    daemon, prometheus = both
    end = int(time.time()) - 3
    parameters = {"query": "sum(orders_total)", "start": end - 10, "end": end, "step": 1}
    values = []
    for root in (daemon.url("/prometheus"), f"http://127.0.0.1:{prometheus.port}"):
        body = requests.get(f"{root}/api/v1/query_range", params=parameters, timeout=10).json()
        values.append({moment: float(value) for moment, value in body["data"]["result"][0]["values"]})
    ours, theirs = values
    assert ours.keys() == theirs.keys() and len(ours) == 11
    # 40 orders a second, and the scrape is at most two seconds behind.
    assert all(-20 <= ours[moment] - theirs[moment] <= 100 for moment in ours), values


def test_the_same_names_and_label_values(both):
    daemon, prometheus = both
    roots = (daemon.url("/prometheus"), f"http://127.0.0.1:{prometheus.port}")

    def values(root, label, **parameters):
        reply = requests.get(f"{root}/api/v1/label/{label}/values", params=parameters, timeout=10).json()
        return reply["data"]
    for label, expected in (("region", ["eu", "us"]), ("site", ["main"])):
        assert values(roots[0], label) == values(roots[1], label) == expected
    names = [set(values(root, "__name__")) & set(NAMES) for root in roots]
    assert names[0] == names[1] == set(NAMES)
    # The recorder writes whole bounds as 5, a scrape as 5.0.
    bounds = [{float(bound) for bound in values(root, "le", **{"match[]": "load_bucket"})} for root in roots]
    assert bounds[0] == bounds[1] and math.inf in bounds[0]
