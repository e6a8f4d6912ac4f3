"""Pins and classes: kept past their age and kill -9, listed, let go; thinning only under a byte budget."""
import time

import requests

import otlp
from daemon import DEADLINE_SECONDS, Daemon, crest


def pin(daemon, trace_id, method=requests.post):
    return method(daemon.url(f"/api/crest/v1/traces/{trace_id}/pin"), timeout=DEADLINE_SECONDS)


def pins(daemon):
    return {entry["traceID"] for entry in daemon.json("/api/crest/v1/pins")["pins"]}


def found(daemon):
    return {trace["traceID"] for trace in daemon.json("/api/crest/v1/search?limit=100")["traces"]}


def wait_for(check):
    until = time.monotonic() + DEADLINE_SECONDS
    while not check():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.1)


def test_pinned_traces_outlive_their_age(tmp_path):
    daemon = Daemon(tmp_path / "data", "--retention-age", "3s")
    message, ids = otlp.request(3, 2, "cart", seed=1)
    ids = [trace_id.hex() for trace_id in ids]
    assert otlp.export(daemon, message).status_code == 200
    reply = pin(daemon, ids[0])
    assert reply.status_code == 200 and reply.json() == {"traceID": ids[0], "pinned": True, "changed": True}
    assert pin(daemon, ids[0]).json()["changed"] is False
    assert pin(daemon, "f" * 32).status_code == 404
    assert pin(daemon, "xyz").status_code == 400
    daemon.kill()
    daemon.start()
    assert pins(daemon) == {ids[0]}
    wait_for(lambda: found(daemon) == {ids[0]})
    ledger = daemon.ledger()
    assert ledger["balanced"] is True
    assert (ledger["spans"]["store"]["live"], ledger["spans"]["store"]["expired"]) == (2, 4), ledger
    assert set(daemon.json("/api/crest/v1/status")["store"]["classes"]) == {"pinned"}
    assert pin(daemon, ids[0], requests.delete).json()["changed"] is True
    assert pins(daemon) == set()
    wait_for(lambda: found(daemon) == set())
    assert daemon.ledger()["balanced"] is True
    assert daemon.stop() == 0


def test_command_and_weight(tmp_path):
    daemon = Daemon(tmp_path / "data")
    message, ids = otlp.request(2, 2, "cart", seed=2)
    assert otlp.export(daemon, message).status_code == 200
    url = daemon.url("")
    first = ids[0].hex()
    assert crest("pin", first, server=url).returncode == 0
    assert crest("pin", "f" * 32, server=url).returncode == 3
    assert crest("pin", "nonsense", server=url).returncode == 2
    assert crest("pins", "-o", "ids", server=url).stdout.split() == [first]
    assert crest("unpin", first, server=url).returncode == 0
    assert pins(daemon) == set()
    assert daemon.json(f"/api/crest/v1/traces/{first}")["weight"] == 1
    answer = daemon.json("/api/crest/v1/search?explain=1")
    assert answer["explain"]["traces"] == {"listed": 2, "standFor": 2}
    assert daemon.stop() == 0
