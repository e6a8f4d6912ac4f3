"""Deleting traces: gone from every dialect at once, gone after kill -9, and the ledger knows."""
import requests

import otlp
from daemon import DEADLINE_SECONDS, Daemon, crest


def delete(daemon, path):
    return requests.delete(daemon.url(path), timeout=DEADLINE_SECONDS)


def statuses(daemon, trace_id):
    paths = [f"/api/crest/v1/traces/{trace_id}", f"/api/traces/{trace_id}", f"/api/v2/trace/{trace_id}"]
    return [daemon.get(path).status_code for path in paths]


def found(daemon):
    return {trace["traceID"] for trace in daemon.json("/api/crest/v1/search?limit=100")["traces"]}


def test_by_id(tmp_path):
    daemon = Daemon(tmp_path / "data")
    message, ids = otlp.request(4, 3, "cart", seed=1)
    ids = [trace_id.hex() for trace_id in ids]
    assert otlp.export(daemon, message).status_code == 200
    reply = delete(daemon, f"/api/crest/v1/traces/{ids[0]}")
    assert reply.status_code == 200 and reply.json() == {"deleted": 1, "more": False}
    assert statuses(daemon, ids[0]) == [404, 404, 404]
    assert statuses(daemon, ids[1]) == [200, 200, 200]
    assert found(daemon) == set(ids[1:])
    assert delete(daemon, f"/api/crest/v1/traces/{ids[0]}").status_code == 404
    assert delete(daemon, "/api/crest/v1/traces/xyz").status_code == 400
    daemon.kill()
    daemon.start()
    assert found(daemon) == set(ids[1:])
    assert daemon.ledger()["balanced"] is True
    # A clean stop seals the head: the deleted spans are left out and counted.
    assert daemon.stop() == 0
    daemon.start()
    store = daemon.ledger()["spans"]["store"]
    assert (store["live"], store["deleted"]) == (9, 3), store
    assert found(daemon) == set(ids[1:])
    # The same spans sent again are new ones.
    assert otlp.export(daemon, message).status_code == 200
    assert ids[0] in found(daemon)
    assert daemon.ledger()["balanced"] is True
    assert daemon.stop() == 0


def test_by_condition(tmp_path):
    daemon = Daemon(tmp_path / "data")
    carts, cart_ids = otlp.request(3, 2, "cart", seed=2)
    orders, order_ids = otlp.request(3, 2, "order", seed=3)
    for message in (carts, orders):
        assert otlp.export(daemon, message).status_code == 200
    assert delete(daemon, "/api/crest/v1/traces").status_code == 400
    assert delete(daemon, "/api/crest/v1/traces?limit=3&service=cart").status_code == 400
    reply = delete(daemon, "/api/crest/v1/traces?service=cart")
    assert reply.json() == {"deleted": 3, "more": False}
    assert found(daemon) == {trace_id.hex() for trace_id in order_ids}
    daemon.kill()
    daemon.start()
    assert found(daemon) == {trace_id.hex() for trace_id in order_ids}
    assert daemon.stop() == 0


def test_command(tmp_path):
    daemon = Daemon(tmp_path / "data")
    message, ids = otlp.request(2, 2, "cart", seed=4)
    assert otlp.export(daemon, message).status_code == 200
    url = daemon.url("")
    assert crest("delete", ids[0].hex(), server=url).returncode == 0
    assert crest("trace", ids[0].hex(), server=url).returncode == 3
    assert crest("delete", ids[0].hex(), server=url).returncode == 3
    assert crest("delete", "nonsense", server=url).returncode == 2
    assert found(daemon) == {ids[1].hex()}
    assert daemon.stop() == 0
