"""Bad input: the right 4xx with place and reason, a counter, and the next good request works."""
import gzip
import json
import socket

import pytest
import zstandard

import otlp

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


def good(daemon, seed):
    message, (trace_id,) = otlp.request(1, 1, seed=seed)
    assert otlp.export(daemon, message).status_code == 200
    assert daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 200


def body():
    return otlp.request(3, 3, seed=11)[0].SerializeToString()


def rejected_requests(daemon):
    return sum(daemon.ledger()["requests"]["rejected"].values())


CASES = [
    ("truncated protobuf", "POST", "/v1/traces", PROTOBUF, body()[:-3], 400),
    ("lying length", "POST", "/v1/traces", PROTOBUF, b"\x0a\xff\xff\xff\x7f" + b"x" * 10, 400),
    ("not protobuf", "POST", "/v1/traces", PROTOBUF, b"hello, world", 400),
    ("wrong wire type", "POST", "/v1/traces", PROTOBUF, b"\x08\x01\x0d\x01", 400),
    ("truncated JSON", "POST", "/v1/traces", JSON, b'{"resourceSpans":[{"scopeSpans":[', 400),
    ("wrong JSON type", "POST", "/v1/traces", JSON, b'{"resourceSpans":{"a":1}}', 400),
    ("JSON too deep", "POST", "/v1/traces", JSON, b'{"x":' * 100_000, 400),
    ("bad hex id", "POST", "/v1/traces", JSON, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": "zz" * 16, "spanId": "11" * 8, "name": "x"}]}]}]}).encode(), 400),
    ("media type", "POST", "/v1/traces", {"Content-Type": "text/csv"}, b"a,b", 415),
    ("unknown encoding", "POST", "/v1/traces", {**PROTOBUF, "Content-Encoding": "br"}, body(), 415),
    ("corrupt gzip", "POST", "/v1/traces", {**PROTOBUF, "Content-Encoding": "gzip"}, b"\x1f\x8bgarbage", 400),
    ("cut gzip", "POST", "/v1/traces", {**PROTOBUF, "Content-Encoding": "gzip"}, gzip.compress(body())[:-9], 400),
    ("gzip bomb", "POST", "/v1/traces", {**PROTOBUF, "Content-Encoding": "gzip"},
     gzip.compress(b"\0" * (96 << 20), 1), 413),
    ("zstd bomb", "POST", "/v1/traces", {**PROTOBUF, "Content-Encoding": "zstd"},
     zstandard.ZstdCompressor().compress(b"\0" * (96 << 20)), 413),
    ("oversize body", "POST", "/v1/traces", PROTOBUF, b"\0" * ((64 << 20) + 1), 413),
    ("wrong method", "GET", "/v1/traces", {}, b"", 405),
    ("wrong method on a read path", "DELETE", "/api/services", {}, b"", 405),
    ("unknown path", "GET", "/api/nothing/here", {}, b"", 404),
    ("logs are not taken", "POST", "/v1/logs", PROTOBUF, b"", 404),
    ("Zipkin not a list", "POST", "/api/v2/spans", JSON, b'{"traceId":"1"}', 400),
    ("Zipkin truncated", "POST", "/api/v2/spans", JSON, b'[{"traceId":"1","id":"2"', 400),
    ("Zipkin version 1", "POST", "/api/v2/spans", JSON,
     b'[{"traceId":"1","id":"2","name":"x","binaryAnnotations":[]}]', 400),
]


@pytest.mark.parametrize("name, method, path, headers, data, status", CASES, ids=[case[0] for case in CASES])
def test_bad_request(shared_daemon, name, method, path, headers, data, status):
    import requests
    before = rejected_requests(shared_daemon)
    try:
        reply = requests.request(method, shared_daemon.url(path), headers=headers, data=data, timeout=30)
        assert reply.status_code == status, reply.text[:300]
        if status != 404 or path.startswith("/v1"):
            assert reply.content, "an error says why"
        if status == 405:
            assert reply.headers.get("Allow")
    except requests.ConnectionError:
        # A peer that refuses an oversize body may close while we still send.
        assert status == 413
    assert rejected_requests(shared_daemon) > before
    good(shared_daemon, 100 + CASES.index((name, method, path, headers, data, status)))


@pytest.mark.parametrize("payload, status", [
    (b"GARBAGE\r\n\r\n", b"400"),
    (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", b"400"),
    (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n", b"413"),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 100_000 + b"\r\n\r\n", b"431"),
])
def test_bad_bytes_on_the_wire(shared_daemon, payload, status):
    host, port = shared_daemon.address["http"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        try:
            connection.sendall(payload)
        except (BrokenPipeError, ConnectionResetError):
            pass
        reply = connection.recv(200)
    assert status in reply.split(b"\r\n")[0], reply
    good(shared_daemon, 999)


def test_a_lying_content_length_stores_nothing(shared_daemon):
    message, (trace_id,) = otlp.request(1, 1, seed=77)
    data = message.SerializeToString()
    host, port = shared_daemon.address["http"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            b"Content-Length: %d\r\n\r\n" % (len(data) + 100) + data)
    good(shared_daemon, 78)
    assert shared_daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 404


def test_hostile_datagrams(shared_daemon):
    from test_statsd import send
    import random
    rng = random.Random(5)
    before = shared_daemon.ledger()["lines"]["seen"]
    for _ in range(300):
        noise = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 1400))).replace(b"\n", b" ")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(noise + b"\nstill.fine:1|c", shared_daemon.udp())
    from daemon import eventually
    eventually(lambda: shared_daemon.ledger()["lines"]["seen"] >= before + 600)
    eventually(lambda: "still_fine_total 300" in shared_daemon.get("/metrics").text)
    terms = shared_daemon.ledger()["lines"]
    assert terms["seen"] == terms["applied"] + sum(terms["rejected"].values())
