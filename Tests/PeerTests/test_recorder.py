"""Every second of every series, driven by the field's own clients and read back over HTTP and with the command."""
import json
import time

import pytest
from datadog.dogstatsd import DogStatsd

from daemon import Daemon, crest, eventually


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path / "data")
    yield daemon
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()


def read(daemon, name, begun, **parameters):
    parameters = {"name": name, "from": int(begun), "to": int(time.time()) + 1, **parameters}
    answer = daemon.get("/api/crest/v1/series/range", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def one(daemon, name, begun, **parameters):
    series = read(daemon, name, begun, **parameters)["series"]
    assert len(series) == 1, series
    return series[0]


def drive(daemon, seconds):
    """Sends for whole seconds; returns what went out in each, by unix second."""
    host, port = daemon.udp()
    client = DogStatsd(host=host, port=port, disable_telemetry=True, disable_buffering=True)
    sent = {}
    first = int(time.time()) + 1
    for offset in range(seconds):
        second = first + offset
        # Well inside the second, so that sender and receiver agree on it.
        time.sleep(max(0.0, second + 0.3 - time.time()))
        client.increment("orders", 10 + offset, tags=["region:eu"])
        for value in (5 + offset, 1, 3):
            client.gauge("stock", value)
        for value in range(1, 101):
            client.histogram("load", value)
        assert int(time.time()) == second, "the machine is too slow for this test"
        sent[second] = 10 + offset
    return sent


def test_every_second_is_there_after_restart_and_kill(daemon):
    begun = time.time()
    sent = drive(daemon, 5)

    def complete():
        orders = one(daemon, "orders_total", begun)
        assert dict(zip(orders["time"], orders["delta"])) == sent
        return orders
    orders = eventually(complete)
    assert orders["labels"] == {"region": "eu"} and orders["total"][-1] == sum(sent.values())
    stock = one(daemon, "stock", begun)
    assert stock["last"] == [3] * 5 and stock["min"] == [1] * 5
    assert stock["max"] == [5 + offset for offset in range(5)]
    load = one(daemon, "load", begun, quantile="0.5,0.99")
    assert load["count"] == [100] * 5 and load["sum"] == [5050] * 5
    median, high = (entry["values"] for entry in load["quantiles"])
    assert all(abs(value - 50) <= 0.006 * 50 for value in median)
    assert all(abs(value - 99) <= 0.006 * 99 for value in high)

    for end in (daemon.kill, daemon.stop):
        end()
        daemon.start()
        orders = one(daemon, "orders_total", begun)
        assert dict(zip(orders["time"], orders["delta"])) == sent, end.__name__
        assert one(daemon, "load", begun, step="60s")["count"][-1] >= 100
    assert list((daemon.data_dir / "recorder").glob("*.rec"))


def test_the_command_draws_it(daemon):
    drive(daemon, 2)
    eventually(lambda: read(daemon, "orders_total", time.time() - 60)["series"])

    def draw(*arguments):
        return crest("metrics", "range", *arguments, server=daemon.url(""))
    table = draw("orders_total", "--since", "1m")
    assert table.returncode == 0, table.stderr
    assert 'orders_total{region="eu"}' in table.stdout and "█" in table.stdout
    answer = json.loads(draw("load", "--quantile", "0.99", "-o", "json").stdout)
    assert answer["series"][0]["quantiles"][0]["q"] == 0.99
    assert draw("nothing_of_this_name").returncode == 3
    assert draw("orders_total", "--since", "soon").returncode == 2


def test_limits_and_refusals_name_the_parameter(daemon):
    for query, parameter in [({"from": "9", "to": "1"}, "from"), ({"step": "0.5s"}, "step"), ({"quantile": "7"}, "quantile")]:
        answer = daemon.get("/api/crest/v1/series/range", params={"name": "x", **query})
        assert answer.status_code == 400 and answer.json()["error"]["parameter"] == parameter


def test_off_means_off(tmp_path):
    daemon = Daemon(tmp_path / "data", "--recorder-age", "off")
    try:
        assert daemon.get("/api/crest/v1/series/range", params={"name": "x"}).status_code == 404
        assert not (daemon.data_dir / "recorder").exists()
    finally:
        daemon.process.kill()
        daemon.process.wait()
