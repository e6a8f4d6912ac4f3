"""The opentelemetry SDK's metrics exporter sends to crestd; what /metrics shows is what was recorded."""
import random
import re

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from daemon import Daemon, eventually
from test_prometheus import Prometheus, free_port

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA


def scraped(daemon):
    values = {}
    for line in daemon.get("/metrics").text.splitlines():
        if not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            values[name] = float(value)
    return values


def value(values, name, **labels):
    found = [v for key, v in values.items() if re.split("[{ ]", key)[0] == name
             and all(f'{k}="{w}"' in key for k, w in labels.items())]
    assert len(found) == 1, f"{name}{labels}: {found}"
    return found[0]


def total(values, name):
    return sum(v for key, v in values.items() if key.split("{")[0] == name)


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
@pytest.mark.parametrize("listener", ["http", "otlp-http"])
def test_sdk_values_arrive(daemon, temporality, listener):
    exporter = OTLPMetricExporter(
        endpoint=daemon.url("/v1/metrics", listener),
        preferred_temporality={Counter: temporality, Histogram: temporality})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        [reader], Resource.create({"service.name": "shop", "service.instance.id": "i1", "cloud.region": "eu"}),
        views=[View(instrument_name="order.size", aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("peer-tests", "1.0")
    meter.create_observable_gauge("stock.left", [lambda _: [Observation(42, {"sku": "1"})]])
    orders = meter.create_counter("orders", unit="{order}")
    carts = meter.create_up_down_counter("carts.open")
    lag = meter.create_histogram("lag", unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.5, 2])
    size = meter.create_histogram("order.size", unit="By")
    for round_number in range(3):
        orders.add(2, {"result": "ok"})
        carts.add(3)
        carts.add(-1)
        for seconds in (0.05, 0.3, 1, 5):
            lag.record(seconds)
        for count in range(1, 101):
            size.record(count)
        assert provider.force_flush()
    # The metrics log takes a request before a scrape shows it.
    values = eventually(lambda: (now := scraped(daemon)) and total(now, "order_size_bytes_count") == 300 and now)
    provider.shutdown()
    assert value(values, "orders_total", result="ok", job="shop", instance="i1") == 6
    assert value(values, "carts_open") == 6
    assert value(values, "stock_left", sku="1") == 42
    assert [value(values, "lag_seconds_bucket", le=le) for le in ("0.1", "0.5", "2.0", "+Inf")] == [3, 6, 9, 12]
    assert abs(value(values, "lag_seconds_sum") - 3 * 6.35) < 1e-9
    assert value(values, "order_size_bytes_count") == 300
    assert value(values, "order_size_bytes_sum") == 3 * 5050
    assert value(values, "target_info", cloud_region="eu", job="shop") == 1
    answer = daemon.json("/api/crest/v1/series?name=order_size_bytes&quantile=0.5")
    assert abs(answer["quantile"]["value"] - 50) / 50 < 0.03
    assert daemon.ledger()["balanced"] and daemon.ledger()["points"]["rejected"] == {}


def test_a_cumulative_sdk_over_kill_and_restart(tmp_path):
    """One SDK process that never restarts, a daemon that is killed at random moments: totals are exact, and Prometheus sees no reset."""
    rng = random.Random(20261126)
    port, otlp = free_port(), free_port()
    daemon = Daemon(tmp_path / "data", f"--http=127.0.0.1:{port}", f"--otlp-http=127.0.0.1:{otlp}")
    prometheus = Prometheus(tmp_path, daemon.address["http"])
    exporter = OTLPMetricExporter(endpoint=f"http://127.0.0.1:{otlp}/v1/metrics")
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider(
        [reader], Resource.create({"service.name": "shop", "service.instance.id": "i1"}),
        views=[View(instrument_name="order.size", aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("peer-tests")
    orders = meter.create_counter("orders")
    lag = meter.create_histogram("lag", unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.5, 2])
    size = meter.create_histogram("order.size", unit="By")
    sold, lags, kills = 0, [0, 0, 0, 0], 0
    try:
        for cycle in range(8):
            for _ in range(rng.randrange(2, 6)):
                count = rng.randrange(1, 100)
                orders.add(count)
                sold += count
                for _ in range(count):
                    bucket = rng.randrange(4)
                    lags[bucket] += 1
                    lag.record((0.05, 0.3, 1, 5)[bucket])
                    size.record(rng.randrange(1, 1000))
                assert provider.force_flush()
            if cycle % 4 != 3:
                daemon.kill()  # some of what was acknowledged is not in the log yet: the next point brings it
                kills += 1
            else:
                assert daemon.stop() == 0
            daemon.start()
        assert provider.force_flush()
        values = eventually(lambda: (now := scraped(daemon)) and total(now, "orders_total") == sold and now)
        shown = [value(values, "lag_seconds_bucket", le=le) for le in ("0.1", "0.5", "2.0", "+Inf")]
        assert shown == [sum(lags[: n + 1]) for n in range(4)], f"{kills} kills"
        assert value(values, "lag_seconds_count") == sold
        assert value(values, "order_size_bytes_count") == sold
        eventually(lambda: prometheus.value("orders_total") == sold)
        assert prometheus.value("resets(orders_total[1h])") == 0
        assert prometheus.value("resets(lag_seconds_count[1h])") == 0
        assert prometheus.value("resets(order_size_bytes_count[1h])") == 0
    finally:
        provider.shutdown()
        prometheus.stop()
        daemon.stop()
