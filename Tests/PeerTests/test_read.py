"""The read APIs over head and segments: Jaeger v1, our own, pages, order, windows."""
import re

import pytest

import otlp
from daemon import Daemon, eventually

TRACES = 60


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Three services' traces; half of them sealed by a restart, half in the head."""
    daemon = Daemon(tmp_path_factory.mktemp("read") / "data")
    for part, service in enumerate(("alpha", "beta")):
        message, _ = otlp.request(TRACES // 2, 4, service, seed=part, base=otlp.BASE_NANOS + part * 10**9)
        assert otlp.export(daemon, message).status_code == 200
        if part == 0:
            assert daemon.stop() == 0
            daemon.start()
    yield daemon
    daemon.stop()


def test_services_and_operations(filled):
    envelope = filled.json("/api/services")
    assert envelope["data"] == ["alpha", "beta"] and envelope["total"] == 2 and envelope["errors"] is None
    assert sorted(filled.json("/api/services/alpha/operations")["data"]) == ["child 1", "child 2", "child 3", "root"]
    assert {"name": "root", "spanKind": "server"} in filled.json("/api/operations?service=beta")["data"]
    assert filled.json("/api/crest/v1/services")["services"] == ["alpha", "beta"]


def test_jaeger_trace(filled):
    _, ids = otlp.request(TRACES // 2, 4, "alpha", seed=0)
    reply = filled.get(f"/api/traces/{ids[0].hex()}")
    assert reply.headers["Content-Type"].startswith("application/json")
    trace, = reply.json()["data"]
    assert trace["traceID"] == ids[0].hex() and len(trace["spans"]) == 4
    root = next(span for span in trace["spans"] if not span["references"])
    assert isinstance(root["startTime"], int) and root["startTime"] == otlp.BASE_NANOS // 1000
    assert isinstance(root["duration"], int) and root["duration"] == 900
    assert trace["processes"][root["processID"]]["serviceName"] == "alpha"
    assert {"key": "span.kind", "type": "string", "value": "server"} in root["tags"]
    for child in trace["spans"]:
        if child is not root:
            assert child["references"] == [
                {"refType": "CHILD_OF", "traceID": trace["traceID"], "spanID": root["spanID"]}]
    missing = filled.get("/api/traces/" + "ab" * 16)
    assert missing.status_code == 404
    assert missing.json()["errors"][0]["code"] == 404 and missing.json()["data"] is None


def test_jaeger_search(filled):
    window = f"start={otlp.BASE_NANOS // 1000 - 1}&end={otlp.BASE_NANOS // 1000 + 10**8}"
    found = filled.json(f"/api/traces?service=alpha&operation=root&limit=7&{window}")["data"]
    starts = [min(span["startTime"] for span in trace["spans"]) for trace in found]
    assert len(found) == 7 and starts == sorted(starts, reverse=True)
    assert all(len(trace["spans"]) == 4 for trace in found)
    tagged = filled.json(f"/api/traces?service=alpha&tags=%7B%22n%22%3A%223%22%7D&{window}")["data"]
    assert len(tagged) == 1
    assert filled.json(f"/api/traces?service=alpha&minDuration=10s&{window}")["data"] == []
    bad = filled.get("/api/traces")
    assert bad.status_code == 400 and "service" in bad.json()["errors"][0]["msg"]
    assert filled.get("/api/traces?service=alpha&start=yesterday").status_code == 400


@pytest.mark.parametrize("sort", ["time", "duration"])
@pytest.mark.parametrize("limit", [1, 7, 60])
def test_pages_add_up(filled, sort, limit):
    everything = filled.json(f"/api/crest/v1/search?sort={sort}&limit=1000")
    assert everything["next"] is None and len(everything["traces"]) == TRACES
    key = (lambda t: -int(t["startUnixNano"])) if sort == "time" else (lambda t: -int(t["durationNanos"]))
    keys = [key(trace) for trace in everything["traces"]]
    assert keys == sorted(keys)
    pages, token = [], ""
    while token is not None:
        reply = filled.json(f"/api/crest/v1/search?sort={sort}&limit={limit}" + (f"&page={token}" if token else ""))
        assert len(reply["traces"]) <= limit
        pages += reply["traces"]
        token = reply["next"]
    assert [t["traceID"] for t in pages] == [t["traceID"] for t in everything["traces"]]
    for trace in pages:
        assert re.fullmatch("[0-9a-f]{32}", trace["traceID"]) and trace["spanCount"] == 4
        assert trace["rootName"] == "root"


def test_ids_and_parameters(filled):
    assert filled.get("/api/crest/v1/traces/xyz").status_code == 400
    assert filled.get("/api/crest/v1/traces/" + "0" * 40).status_code == 400
    assert filled.get("/api/crest/v1/traces/1234").status_code == 404
    for query in ("limit=0", "limit=x", "sort=size", "min_duration=1parsec", "start=noon", "page=zzz", "tag=novalue"):
        reply = filled.get(f"/api/crest/v1/search?{query}")
        assert reply.status_code == 400, query
        assert reply.json()["error"]["parameter"] == query.split("=")[0], query


def test_visible_at_once(filled):
    """An acknowledged trace is in the very next query, by id and by search."""
    for seed in range(20):
        message, (trace_id,) = otlp.request(1, 2, "gamma", seed=1_000 + seed)
        assert otlp.export(filled, message).status_code == 200
        assert len(filled.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 2
    assert "gamma" in filled.json("/api/services")["data"]


def test_ledger_balances(filled):
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(filled.ledger()))
    assert ledger["balanced"] is True
