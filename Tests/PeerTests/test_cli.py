"""The crest command against a daemon with known content."""
import json

import pytest

import otlp
from daemon import Daemon, crest, eventually
from test_statsd import send, until_applied


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    daemon = Daemon(tmp_path_factory.mktemp("cli") / "data")
    message, ids = otlp.request(5, 4, "cart", seed=9)
    failing = message.resource_spans[0].scope_spans[0].spans[1]
    failing.status.code = 2
    failing.status.message = "stock is empty\x1b[31m"
    failing.attributes.extend(otlp.attributes({"sku": "sku-77"}))
    assert otlp.export(daemon, message).status_code == 200
    send(daemon, "order.count:3|c|#region:eu", "order.process.time:20|ms", "order.process.time:40|ms")
    until_applied(daemon, 3)
    eventually(lambda: "order_process_time_seconds_count" in daemon.get("/metrics").text)
    yield daemon.url(""), [trace_id.hex() for trace_id in ids]
    daemon.stop()


def test_waterfall(server):
    url, ids = server
    result = crest("trace", ids[0], server=url)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert any("root" in line and "cart" in line for line in lines)
    assert sum("child" in line for line in lines) >= 3
    assert "stock is empty" in result.stdout and "\x1b" not in result.stdout
    assert "sku-77" not in result.stdout
    assert "sku-77" in crest("trace", ids[0], "--attributes", server=url).stdout
    document = json.loads(crest("trace", ids[0], "-o", "json", server=url).stdout)
    assert document["traceID"] == ids[0] and document["spanCount"] == 4


def test_search(server):
    url, ids = server
    result = crest("search", "--service", "cart", "-o", "ids", server=url)
    assert result.returncode == 0 and sorted(result.stdout.split()) == sorted(ids)
    assert crest("search", "--tag", "sku=sku-77", "-o", "ids", server=url).stdout.split() == [ids[0]]
    assert crest("search", "--error", "-o", "ids", server=url).stdout.split() == [ids[0]]
    for sort in ("time", "duration"):
        rows = [json.loads(line) for line in crest("search", "--sort", sort, "-o", "jsonl", server=url).stdout.splitlines()]
        assert len(rows) == 5
    empty = crest("search", "--service", "nobody", server=url)
    assert empty.returncode == 0
    assert "cart" in crest("search", server=url).stdout


def test_lists_and_metrics(server):
    url, _ = server
    assert "cart" in crest("services", server=url).stdout
    assert "child 1" in crest("ops", "cart", server=url).stdout
    counter = crest("metrics", "get", "order_count_total", server=url)
    assert counter.returncode == 0 and "3" in counter.stdout and "eu" in counter.stdout
    quantile = crest("metrics", "get", "order_process_time_seconds", "--quantile", "0.99", server=url)
    assert quantile.returncode == 0 and ("40" in quantile.stdout or "0.04" in quantile.stdout or "0.039" in quantile.stdout
                                         or "39." in quantile.stdout)
    assert crest("metrics", "get", "no_such_metric", server=url).returncode == 3
    assert "balanced" in crest("ledger", server=url).stdout
    assert json.loads(crest("ledger", "-o", "json", server=url).stdout)["balanced"] is True
    assert crest("status", server=url).returncode == 0


def test_exit_codes(server):
    url, _ = server
    assert crest("trace", "not-an-id", server=url).returncode == 2
    assert crest("trace", "ab" * 16, server=url).returncode == 3
    assert crest("nonsense", server=url).returncode == 2
    unreachable = crest("services", server="http://127.0.0.1:1")
    assert unreachable.returncode == 5 and "127.0.0.1:1" in unreachable.stderr
    assert crest("services", "--server", url, server="http://127.0.0.1:1").returncode == 0
    assert crest("--help").returncode == 0 and crest("--version").stdout.startswith("crest ")
