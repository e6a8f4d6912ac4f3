"""The Datadog and statsd clients in, Prometheus' own parsers out."""
import re
import socket

import datadog.dogstatsd.base as dogstatsd
import statsd
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from daemon import eventually

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}


def scrape(daemon, parse=parse_text, **headers):
    reply = daemon.get("/metrics", headers=headers)
    assert reply.status_code == 200
    return {family.name: family for family in parse(reply.text)}


def sample(families, name, **labels):
    """The value of the one sample with this name that carries these labels."""
    found = [
        item.value for family in families.values() for item in family.samples
        if item.name == name and labels.items() <= item.labels.items()]
    assert len(found) == 1, f"{name}{labels}: {found}"
    return found[0]


def send(daemon, *lines):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto("\n".join(lines).encode(), daemon.udp())


def until_applied(daemon, lines):
    def applied():
        terms = daemon.ledger()["lines"]
        return terms["seen"] >= lines and terms
    return eventually(applied)


def test_datadog_client(daemon):
    host, port = daemon.udp()
    client = dogstatsd.DogStatsd(host=host, port=port, disable_telemetry=True, disable_buffering=True,
                                 origin_detection_enabled=False)
    for _ in range(5):
        client.increment("order.count", tags=["region:eu", "channel:app"])
    client.increment("order.count", 2.5, tags=["channel:app", "region:eu"])
    client.decrement("depth", 0)
    client.gauge("stock.remaining", 42, tags=["product:p1"])
    client.gauge("stock.remaining", -3, tags=["product:p2"])
    for value in (3, 30, 300):
        client.timing("order.process.time", value)
    client.histogram("basket.size", 3)
    client.distribution("payment.amount", 12.5)
    for user in ("a", "b", "a"):
        client.set("users.active", user)
    until_applied(daemon, 16)

    def right():
        families = scrape(daemon)
        assert sample(families, "order_count_total", region="eu", channel="app") == 7.5
        assert sample(families, "stock_remaining", product="p1") == 42
        assert sample(families, "stock_remaining", product="p2") == -3
        assert sample(families, "order_process_time_seconds_count") == 3
        assert abs(sample(families, "order_process_time_seconds_sum") - 0.333) < 1e-9
        assert sample(families, "order_process_time_seconds_bucket", le="0.005") == 1
        assert sample(families, "order_process_time_seconds_bucket", le="0.05") == 2
        assert sample(families, "order_process_time_seconds_bucket", le="+Inf") == 3
        assert sample(families, "basket_size_count") == 1
        assert sample(families, "payment_amount_sum") == 12.5
        assert sample(families, "users_active_unique") == 2
        return True
    eventually(right)


def test_statsd_client(daemon):
    host, port = daemon.udp()
    client = statsd.StatsClient(host, port)
    with client.pipeline() as pipe:
        pipe.incr("hits", 3)
        pipe.timing("render", 120)
        pipe.gauge("temperature", 20)
        pipe.gauge("temperature", 5, delta=True)
        pipe.gauge("temperature", -1, delta=True)
        pipe.set("visitors", "v1")
    until_applied(daemon, 6)

    def right():
        families = scrape(daemon)
        assert sample(families, "hits_total") == 3
        assert sample(families, "render_seconds_sum") == 0.12
        assert sample(families, "temperature") == 24
        assert sample(families, "visitors_unique") == 1
        return True
    eventually(right)


def test_rates_packing_and_bad_lines(daemon):
    send(daemon, "clicks:1|c|@0.1", "clicks:2|c|#a:b|@0.5", "t:1:2:3|ms|@0.5", "etsy:1|c:2|c", "ok:1|c\r",
         "broken", "x:|c", "x:1|q", "x:NaN|c", "x:1|c|@0", "x:1|c|@2", ":1|c", "x:-1|c")
    terms = until_applied(daemon, 13)
    assert terms["seen"] == 13
    assert sum(terms["rejected"].values()) == 8 and terms["applied"] == 5

    def right():
        families = scrape(daemon)
        assert sample(families, "clicks_total", a="b") == 4
        assert [s.value for s in families["clicks"].samples if s.labels == {}] == [10]
        assert sample(families, "t_seconds_count") == 6
        assert sample(families, "etsy_total") == 3
        assert sample(families, "ok_total") == 1
        return True
    eventually(right)


def test_formats_agree(daemon):
    send(daemon, "a.b:1|c|#k:va\"l\\ue", "a.t:7|ms", "g:1.5|g", "u:x|s")
    until_applied(daemon, 4)
    eventually(lambda: "a_b_total" in daemon.get("/metrics").text)
    text = daemon.get("/metrics")
    assert text.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    openmetrics = daemon.get("/metrics", headers=OPENMETRICS)
    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.text.endswith("# EOF\n")
    plain = daemon.get("/metrics", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    zipped = daemon.get("/metrics", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["Content-Encoding"] == "gzip"

    def application(families):
        return {
            (item.name, tuple(sorted(item.labels.items()))): item.value
            for family in families for item in family.samples
            if re.match("a_|g$|u_", item.name)}
    assert application(parse_text(text.text)) == application(parse_openmetrics(openmetrics.text))
    assert sample({f.name: f for f in parse_text(text.text)}, "a_b_total", k='va"l\\ue') == 1


def test_http_lines(daemon):
    reply = daemon.post("/api/v1/statsd", data="web:1|c\nweb:2|c\nbroken\n")
    assert reply.status_code == 202
    assert reply.json()["accepted"] == 2 and sum(reply.json()["rejected"].values()) == 1
    eventually(lambda: sample(scrape(daemon), "web_total") == 3)


def test_type_conflict_never_breaks_the_scrape(daemon):
    send(daemon, "same:1|c", "same:2|g", "same:3|ms", "same_total:1|g", "same.seconds:1|g")
    until_applied(daemon, 5)
    eventually(lambda: "same_total" in daemon.get("/metrics").text)
    scrape(daemon)
    scrape(daemon, parse_openmetrics, **OPENMETRICS)


def test_datagram_ledger(daemon):
    for number in range(500):
        send(daemon, f"burst:{number}|c", "burst:1|c")
    terms = until_applied(daemon, 1000)
    datagrams = daemon.ledger()["datagrams"]
    assert terms["applied"] == 1000
    assert datagrams["received"] == 500 and datagrams["handled"] == 500
