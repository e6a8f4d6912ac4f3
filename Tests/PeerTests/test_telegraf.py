"""StatsD with tags in the name: aio-statsd's Telegraf client, Micrometer's Telegraf flavour line by line, and the
other ways lines travel, by the clients that use them."""
import asyncio
import time

import datadog.dogstatsd.base as dogstatsd
import statsd
from aio_statsd import TelegrafStatsdClient
from aio_statsd.protocol import TelegrafStatsdProtocol

from daemon import Daemon, eventually
from test_statsd import sample, scrape, send, until_applied


def test_aio_statsd(daemon):
    host, port = daemon.udp()

    async def record():
        async with TelegrafStatsdClient(host=host, port=port) as client:
            tags = {"region": "eu", "shop": "Käse & Söhne"}
            client.counter("order.count", 2, tag_dict=tags)
            client.counter("order.count", 3, tag_dict=dict(reversed(tags.items())))
            client.gauge("stock.left", 42, tag_dict={"sku": "p1"})
            client.increment("stock.left", 5, tag_dict={"sku": "p1"})
            client.decrement("stock.left", 2, tag_dict={"sku": "p1"})
            client.timer("pay.time", 250, tag_dict={"result": "paid"})
            client.histogram("basket.size", 3, tag_dict={"region": "eu"})
            client.distribution("basket.size", 5, tag_dict={"region": "eu"})
            client.set("users.active", "u1", tag_dict={"region": "eu"})
            client.counter("plain", 1)
            many = TelegrafStatsdProtocol().counter("chained", 1, {"k": "a"}).counter("chained", 2, {"k": "b"})
            client.send_telegraf_statsd(many)
    # Not asyncio.run, which would take the main thread's loop from other clients.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(record())
    loop.close()
    until_applied(daemon, 12)

    def right():
        families = scrape(daemon)
        assert sample(families, "order_count_total", region="eu", shop="Käse & Söhne") == 5
        # Without a word that says otherwise a sign is a change, as Telegraf has it.
        assert sample(families, "stock_left", sku="p1") == 45
        assert sample(families, "pay_time_seconds_sum", result="paid") == 0.25
        assert sample(families, "pay_time_seconds_count", result="paid") == 1
        assert sample(families, "basket_size_sum", region="eu") == 8
        assert sample(families, "users_active_unique", region="eu") == 1
        assert sample(families, "plain_total") == 1
        assert [sample(families, "chained_total", k=key) for key in "ab"] == [1, 2]
        return True
    eventually(right)
    assert daemon.ledger()["lines"]["rejected"] == {}


# As Micrometer's StatsD registry writes them with `flavor: telegraf`: joined by line feeds, one at the end.
MICROMETER = """\
my_counter,statistic=count,my_tag=val:2|c
my_gauge,statistic=value,my_tag=val:2.5|g
my_gauge,statistic=value,my_tag=minus:-5|g
my_gauge,statistic=value,my_tag=minus:-5|g
my_timer,my_tag=val:1|ms
my_summary,my_tag=val:5|h
jobs,statistic=active,my_tag=val:3|g
jobs,statistic=duration,my_tag=val:1500|g
my_timer_histogram,le=100,my_tag=val:7|g
my_timer_percentile,phi=0.95,my_tag=val:12|g
http_server_requests,exception=None,method=GET,outcome=SUCCESS,status=200,uri=/api/{id}:20|ms
broken,my_tag=val:NaN|g
infinite,my_tag=val:∞|g
"""


def test_micrometers_telegraf_flavour(daemon):
    send(daemon, MICROMETER)
    until_applied(daemon, 13)

    def right():
        families = scrape(daemon)
        assert sample(families, "my_counter_total", my_tag="val") == 2
        assert sample(families, "my_gauge", my_tag="val") == 2.5
        # The tag `statistic` says that a sign belongs to the value.
        assert sample(families, "my_gauge", my_tag="minus") == -5
        assert sample(families, "my_timer_seconds_sum", my_tag="val") == 0.001
        assert sample(families, "my_summary_sum", my_tag="val") == 5
        assert sample(families, "jobs_active", my_tag="val") == 3
        assert sample(families, "jobs_duration_seconds", my_tag="val") == 1.5
        assert sample(families, "http_server_requests_seconds_count", method="GET", status="200", uri="/api/{id}") == 1
        assert "statistic" not in daemon.get("/metrics").text
        return True
    eventually(right)
    assert sum(daemon.ledger()["lines"]["rejected"].values()) == 2


FORMS = {
    "a.b,k=v,l=w:4|c": ("a_b_total", {"k": "v", "l": "w"}),
    "a.c,k=v:2|c|@0.5": ("a_c_total", {"k": "v"}),
    "a.d,k=v:4|c|#x:y": ("a_d_total", {"k": "v", "x": "y"}),
    "a.e,bare,k=v:4|c": ("a_e_total", {"bare": "true", "k": "v"}),
    "a.f,empty=,k=v:4|c": ("a_f_total", {"k": "v"}),
    "a.g,k=v=w:4|c": ("a_g_total", {"k": "v=w"}),
    "a.h,k=v:1|c:3|c": ("a_h_total", {"k": "v"}),
    "a.i,k=v:1:3|c": ("a_i_total", {"k": "v"}),
    "a.j,k=first,k=second:4|c": ("a_j_total", {"k": "first"}),
    "a.k,path=/x y/é:4|c": ("a_k_total", {"path": "/x y/é"})}


def test_forms_of_tags(daemon):
    send(daemon, *FORMS)
    until_applied(daemon, len(FORMS))

    def right():
        families = scrape(daemon)
        for name, labels in FORMS.values():
            found = [(item.labels, item.value) for item in families[name.removesuffix("_total")].samples]
            assert found == [(labels, 4)], name
        return True
    eventually(right)
    assert daemon.ledger()["lines"]["rejected"] == {}


def test_clients_on_other_sockets(tmp_path):
    """Datadog's client over a unix socket, statsd's over TCP."""
    path = tmp_path / "dsd.sock"
    daemon = Daemon(tmp_path / "data", f"--statsd=unixgram:{path}", "--statsd=tcp:127.0.0.1:0")
    try:
        # Buffered: the client drops what the socket does not hold, which is `net.unix.max_dgram_qlen` datagrams.
        client = dogstatsd.DogStatsd(
            socket_path=str(path), disable_telemetry=True, disable_buffering=False, origin_detection_enabled=False,
            constant_tags=["env:test"])
        for number in range(100):
            client.increment("sold", tags=[f"sku:{number % 2}"])
        client.gauge("depth", -4)
        client.timing("pay", 20, sample_rate=1)
        client.flush()
        host, port = daemon.address["statsd"].split("tcp:")[1].rsplit(":", 1)
        stream = statsd.TCPStatsClient(host, int(port), prefix="tcp")
        for _ in range(10):
            stream.incr("hits", 2)
            stream.timing("render", 7)
        stream.gauge("level", -3)
        stream.close()
        until_applied(daemon, 102 + 22)

        def right():
            families = scrape(daemon)
            assert [sample(families, "sold_total", sku=sku, env="test") for sku in "01"] == [50, 50]
            assert sample(families, "depth", env="test") == -4
            assert sample(families, "pay_seconds_sum", env="test") == 0.02
            assert sample(families, "tcp_hits_total") == 20
            assert sample(families, "tcp_render_seconds_count") == 10
            assert sample(families, "tcp_level") == -3
            return True
        eventually(right)
        assert daemon.ledger()["balanced"] and daemon.ledger()["lines"]["rejected"] == {}
    finally:
        daemon.kill()


def test_datadogs_own_telemetry_and_large_batches(daemon):
    """Everything as it is by default: buffered, telemetry and origin fields on."""
    host, port = daemon.udp()
    client = dogstatsd.DogStatsd(host=host, port=port)
    for number in range(1_000):
        client.increment("default.hits", tags=["path:/x", f"n:{number % 10}"])
    client.event("deploy", "v2 is out", tags=["env:test"])
    client.service_check("db", client.WARNING, tags=["env:test"], message="slow")
    client.flush()
    client.stop()

    def right():
        families = scrape(daemon)
        hits = [item.value for item in families["default_hits"].samples if item.name == "default_hits_total"]
        assert len(hits) == 10 and sum(hits) == 1_000
        assert sample(families, "service_check_status", check="db", env="test") == 1
        return True
    eventually(right)
    assert daemon.ledger()["lines"]["rejected"] == {}


def test_datadogs_client_side_aggregation(daemon):
    """Counters, gauges and sets are added up in the client, which sends them every 0.2 s; the rest one by one."""
    host, port = daemon.udp()
    client = dogstatsd.DogStatsd(
        host=host, port=port, disable_aggregation=False, flush_interval=0.2, constant_tags=["env:prod"], namespace="ns")
    for number in range(1_000):
        client.increment("hits", tags=["a:b"])
        client.gauge("level", number)
        client.set("users", number % 5)
        client.histogram("size", number % 10)
        client.distribution("wide", number % 10)
        client.timing("lag", number % 10)
    stamp = int(time.time()) - 60
    client.count_with_timestamp("late.count", 5, stamp, tags=["x:y"])
    client.gauge_with_timestamp("late.gauge", 5.5, stamp)
    client.flush()
    client.stop()

    def right():
        families = scrape(daemon)
        assert sample(families, "ns_hits_total", a="b", env="prod") == 1_000
        assert sample(families, "ns_level", env="prod") == 999
        assert sample(families, "ns_users_unique", env="prod") == 5
        for name, total in (("ns_size", 4_500), ("ns_wide", 4_500), ("ns_lag_seconds", 4.5)):
            assert sample(families, f"{name}_count", env="prod") == 1_000
            assert abs(sample(families, f"{name}_sum", env="prod") - total) < 1e-9
        assert sample(families, "ns_late_count_total", x="y") == 5 and sample(families, "ns_late_gauge") == 5.5
        return True
    eventually(right)
    assert daemon.ledger()["lines"]["rejected"] == {}


def test_datadogs_timed_in_seconds(tmp_path):
    """`timed` of Datadog's client sends seconds as `ms` unless told `use_ms`: a mapping rule sets it right."""
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("mappings:\n- match: timed.block\n  name: timed_block_seconds\n  scale: 1000\n")
    daemon = Daemon(tmp_path / "data", f"--statsd-mapping={mapping}")
    try:
        host, port = daemon.udp()
        client = dogstatsd.DogStatsd(host=host, port=port, disable_telemetry=True)
        with client.timed("timed.block"):
            time.sleep(0.02)
        with client.timed("timed.other", use_ms=True):
            time.sleep(0.02)
        client.flush()

        def right():
            families = scrape(daemon)
            for name in ("timed_block_seconds", "timed_other_seconds"):
                assert 0.015 < sample(families, f"{name}_sum") < 5, name
            return True
        eventually(right)
    finally:
        daemon.kill()
