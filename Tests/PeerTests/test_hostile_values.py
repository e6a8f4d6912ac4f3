"""Values at the edge of their type, texts that break lines and pages, times that cannot be, bodies that swell."""
import gzip
import json
import math
import re
import socket
import time
import zlib

import pytest
import zstandard
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

import otlp
from daemon import Daemon, eventually
from otlp import BASE_NANOS
from test_statsd import send

PROTOBUF = {"Content-Type": "application/x-protobuf"}
YEAR = 365 * 86_400 * 1_000_000_000


def strict(text):
    """JSON without the words that Python reads and no standard knows."""
    def refuse(word):
        raise AssertionError(f"{word} is no JSON")
    return json.loads(text, parse_constant=refuse)


def export(daemon, message):
    data = message if isinstance(message, bytes) else message.SerializeToString()
    return daemon.post("/v1/traces", data=data, headers=PROTOBUF)


def everywhere(daemon, trace_id):
    """The trace as every dialect shows it."""
    pages = [daemon.get(path + trace_id.hex()) for path in ("/api/traces/", "/api/crest/v1/traces/", "/api/v2/trace/")]
    assert all(page.status_code == 200 for page in pages)
    return [strict(page.text) for page in pages]


TEXTS = [
    "\u0000", "a\u0000b", "line\nbreak\r\ntwo", "\u001b[31mred\u001b[0m", "\u202eright to left\u202c", "\u2028\u2029",
    "</script><script>alert(1)</script>", "' OR 1=1 --", "%00%0a%s%n{0}$(id)`id`", "\\\"'{}[]<>&;", "\ufffe\uffff\ufeff",
    "e\u0301" * 200, "👩‍👩‍👧‍👦", "../../../../etc/passwd", "x" * 4_000_000, "crst_" + "A" * 43,
]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_texts_come_back_and_break_nothing(shared_daemon, text):
    message, (trace_id,) = otlp.request(1, 1, seed=200 + TEXTS.index(text))
    scope = message.resource_spans[0].scope_spans[0]
    span = scope.spans[0]
    scope.scope.name = text[:1_000]
    span.name = text[:60_000]
    span.status.message = text[:1_000]
    span.attributes.extend(otlp.attributes({"text": text, text[:1_000] or "k": "v", "list": [text[:1_000]]}))
    span.events.add(name=text[:1_000], time_unix_nano=BASE_NANOS)
    assert export(shared_daemon, message).status_code == 200
    jaeger, _, zipkin = everywhere(shared_daemon, trace_id)
    shown = jaeger["data"][0]["spans"][0]
    assert shown["operationName"] == text[:60_000]
    values = {tag["key"]: tag["value"] for tag in shown["tags"]}
    assert text.startswith(values["text"]) and len(values["text"]) >= min(len(text), 200)
    assert zipkin[0]["name"] == text[:60_000].lower() or zipkin[0]["name"] == text[:60_000]
    # Nothing of it reached the log, and the pages are of a type that no browser runs.
    assert not any(text[:20] in line for line in shared_daemon.log if len(text) > 3)
    reply = shared_daemon.get(f"/api/traces/{trace_id.hex()}")
    assert reply.headers["content-type"].startswith("application/json")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_invalid_utf8_is_replaced_and_counted(daemon):
    message, (trace_id,) = otlp.request(1, 2, seed=230)
    first = message.resource_spans[0].scope_spans[0].spans[0]
    first.name = "cafXX"
    first.attributes.extend(otlp.attributes({"db.statement": "select 'YYY"}))
    data = message.SerializeToString().replace(b"cafXX", b"caf\xc3\x28").replace(b"YYY", b"\xe2\x82\xff")
    assert export(daemon, data).status_code == 200
    jaeger, _, _ = everywhere(daemon, trace_id)
    spans = {span["operationName"]: span for span in jaeger["data"][0]["spans"]}
    assert set(spans) == {"caf\ufffd(", "child 1"}
    assert {"key": "db.statement", "type": "string", "value": "select '\ufffd\ufffd"} in spans["caf\ufffd("]["tags"]
    ledger = daemon.ledger()
    assert ledger["spans"]["repaired"] == 1 and ledger["spans"]["rejected"] == {} and ledger["balanced"]
    assert "crest_spans_repaired_total 1" in daemon.get("/metrics").text
    daemon.kill()
    daemon.start()
    assert everywhere(daemon, trace_id)[0] == jaeger, "as it was logged"
    # In JSON it is no text at all.
    reply = daemon.post("/v1/traces", data=b'{"x":"\xff"}', headers={"Content-Type": "application/json"})
    assert reply.status_code == 400 and "UTF-8" in reply.text


NUMBERS = {
    "nan": math.nan, "inf": math.inf, "minus inf": -math.inf, "minus zero": -0.0, "least": 5e-324, "most": 1.7e308,
    "max": (1 << 63) - 1, "min": -(1 << 63), "exact": 9_007_199_254_740_993, "tenth": 0.1,
}


def test_numbers_at_the_edge_in_spans(shared_daemon):
    message, (trace_id,) = otlp.request(1, 1, seed=240)
    message.resource_spans[0].scope_spans[0].spans[0].attributes.extend(otlp.attributes(NUMBERS))
    assert export(shared_daemon, message).status_code == 200
    jaeger, own, _ = everywhere(shared_daemon, trace_id)
    tags = {tag["key"]: tag["value"] for tag in jaeger["data"][0]["spans"][0]["tags"]}
    for name, value in NUMBERS.items():
        if isinstance(value, float) and not math.isfinite(value):
            assert isinstance(tags[name], str) and tags[name].lower().replace("inity", "") in ("nan", "inf", "+inf", "-inf")
        elif isinstance(value, int) and abs(value) > 1 << 53:
            assert str(tags[name]) == str(value), "no digit is lost"
        else:
            assert float(tags[name]) == value
    # The same as JSON, where a number may be a text; what is no number of 64 bits is refused with its place.
    for text, status in (('"NaN"', 200), ('"-Infinity"', 200), ("1e308", 200), ("1e400", 400), ("NaN", 400), ('"x"', 400)):
        body = ('{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"' + "ab" * 16 + '","spanId":"' + "cd" * 8
                + '","name":"n","attributes":[{"key":"k","value":{"doubleValue":' + text + "}}]}]}]}]}")
        reply = shared_daemon.post("/v1/traces", data=body, headers={"Content-Type": "application/json"})
        assert reply.status_code == status, (text, reply.text)


def test_numbers_at_the_edge_in_metrics(daemon):
    lines = {
        "g:1e308|g": None, "g:-1e308|g": None, "g:5e-324|g": None, "g:-0|g": None, "c:0|c": None, "h:-0.0|h": None,
        "g:1e400|g": "bad_value", "c:NaN|c": "nan", "h:inf|ms": "nan", "c:-1|c": "negative_counter",
        "c:9223372036854775808|c": None, "c:1|c|@0": "bad_rate", "c:1|c|@nan": "bad_rate", "c:1|c|@1e-300": "bad_rate",
        "h:1e308|h|@0.1": None,
    }
    for line in lines:
        send(daemon, line)
    ledger = eventually(lambda: (lambda l: l if l["lines"]["seen"] == len(lines) else None)(daemon.ledger()))
    rejected = ledger["lines"]["rejected"]
    assert sum(rejected.values()) >= 7 and set(rejected) <= {"nan", "negative_counter", "bad_rate", "bad_value"}, rejected
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add().scope_metrics.add()
    for number, value in enumerate((math.nan, math.inf, -math.inf, -0.0, 5e-324)):
        scope.metrics.add(name=f"level_{number}").gauge.data_points.add(as_double=value, time_unix_nano=time.time_ns())
    for number, value in enumerate((math.nan, -1.0, math.inf)):
        total = scope.metrics.add(name=f"bad_{number}").sum
        total.is_monotonic, total.aggregation_temporality = True, 2
        total.data_points.add(as_double=value, time_unix_nano=time.time_ns())
    reply = daemon.post("/v1/metrics", data=message.SerializeToString(), headers=PROTOBUF)
    assert reply.status_code == 200
    shown = eventually(lambda: (lambda t: t if "level_4" in t else None)(daemon.get("/metrics").text))
    values = dict(re.findall(r"^(level_\d|bad_\d\w*) (\S+)$", shown, re.M))
    assert math.isnan(float(values["level_0"])) and float(values["level_1"]) == math.inf
    assert float(values["level_2"]) == -math.inf and float(values["level_3"]) == 0 and float(values["level_4"]) == 5e-324
    assert not any(name.startswith("bad") for name in values)
    assert sum(daemon.ledger()["points"]["rejected"].values()) == 3
    for line in shown.splitlines():
        assert line.startswith("#") or re.fullmatch(r"[a-zA-Z_:][\w:]*(\{.*\})? \S+( \d+)?", line), line


def test_too_many_attributes_and_too_long_keys(daemon):
    message, (trace_id,) = otlp.request(1, 1, seed=250)
    span = message.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    span.attributes.extend(otlp.attributes({"k" * (1 << 20): "long key", "value": "v" * (1 << 20)}))
    span.attributes.extend(otlp.attributes({f"a{number}": number for number in range(10_000)}))
    assert export(daemon, message).status_code == 200
    own = everywhere(daemon, trace_id)[1]
    text = json.dumps(own)
    assert text.count('"a1022"') == 0 and text.count('"a1021"') == 1, "1,024 are kept"
    assert re.search(r'"droppedAttributes\w*": 8978', text), text[-500:]
    assert daemon.ledger()["spans"]["truncated"] == 1
    send(daemon, "many:1|c|#" + ",".join(f"t{number}:v" for number in range(65)))
    send(daemon, "long:" + "1" * 9_000 + "|c")
    eventually(lambda: {"too_many_tags", "line_too_long"} <= set(daemon.ledger()["lines"]["rejected"]))
    metrics = ExportMetricsServiceRequest()
    point = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="wide").gauge.data_points.add(as_int=1)
    point.attributes.extend(otlp.attributes({f"a{number}": "v" for number in range(129)}))
    assert daemon.post("/v1/metrics", data=metrics.SerializeToString(), headers=PROTOBUF).status_code == 200
    assert daemon.ledger()["points"]["rejected"] == {"too_many_attributes": 1}


def at(daemon, start, end, seed):
    message, (trace_id,) = otlp.request(1, 1, seed=seed)
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.start_time_unix_nano, span.end_time_unix_nano = start, end
    assert export(daemon, message).status_code == 200
    return trace_id


def found(daemon, **window):
    query = "&".join(f"{key}={value}" for key, value in window.items())
    reply = daemon.get(f"/api/crest/v1/search?limit=100&{query}")
    assert reply.status_code == 200, reply.text
    return [trace["traceID"] for trace in strict(reply.text)["traces"]]


def test_times_long_ago_and_far_ahead(tmp_path):
    daemon = Daemon(tmp_path / "data", "--retention-age=1h")
    now = time.time_ns()
    starts = {
        "now": now - 10**9, "yesterday": now - YEAR // 365, "a year ago": now - YEAR, "twenty years ago": now - 20 * YEAR,
        "the beginning": 1, "in nine minutes": now + 9 * 60 * 10**9, "next year": now + YEAR, "2262": (1 << 63) - 1,
        "the end": (1 << 64) - 1,
    }
    ids = {name: at(daemon, start, start, 260 + n) for n, (name, start) in enumerate(starts.items())}
    for restarts in (False, True):
        if restarts:
            assert daemon.stop() == 0
            daemon.start()
        for name, trace_id in ids.items():
            everywhere(daemon, trace_id)
        # Found by their own time; what is ahead of the clock does not stand before what happens now.
        past = {ids[name].hex() for name in list(starts)[:5]}
        assert set(found(daemon, end=now)) == past
        assert found(daemon, start=now - 2 * YEAR, end=now - YEAR + 10**9) == [ids["a year ago"].hex()]
        assert set(found(daemon, start=now + YEAR // 2)) == {ids[name].hex() for name in ("next year", "2262", "the end")}
        # No clock moved: nothing has expired, and what comes now is kept as well.
        at(daemon, now + 1_000, now + 10**6, 280 + restarts)
        ledger = daemon.ledger()
        assert ledger["balanced"] and ledger["spans"]["store"]["expired"] == 0
        assert ledger["spans"]["store"]["live"] == len(starts) + 1 + restarts
    assert daemon.stop() == 0


@pytest.mark.parametrize("seed, start, end", [
    (290, 2_000_000_000, 1_000_000_000), (291, BASE_NANOS, 0), (292, 1, (1 << 64) - 1), (293, 1, 1)])
def test_durations_that_cannot_be(shared_daemon, seed, start, end):
    trace_id = at(shared_daemon, start, end, seed)
    jaeger, own, zipkin = everywhere(shared_daemon, trace_id)
    span = jaeger["data"][0]["spans"][0]
    if end < start:
        assert span["duration"] == 0 and "the end lies before the start" in span["warnings"]
        assert zipkin[0].get("duration", 1) <= 1
    else:
        assert span["duration"] == (end - start) // 1_000
    hours = 3_600_000_000_000
    assert (trace_id.hex() in found(shared_daemon, min_duration="4000h")) == (end - start >= 4_000 * hours)
    assert shared_daemon.ledger()["balanced"]


def bombs():
    zeros = b"\0" * (200 << 20)
    deflate = zlib.compress(zeros, 9)
    member = gzip.compress(zeros[:40 << 20], 9)
    small = gzip.compress(b"\0" * 100)
    return [
        ("gzip", gzip.compress(zeros, 9), 413), ("deflate", deflate, 413),
        ("zstd", zstandard.ZstdCompressor(level=1).compress(zeros), 413),
        ("gzip", member + member, 413), ("gzip", gzip.compress(gzip.compress(zeros, 9), 9), 400),
        ("gzip", small + b"trailing", 400), ("deflate", zlib.compress(b"\0" * 100) + b"\0", 400),
        ("zstd", zstandard.ZstdCompressor().compress(b"\0" * 100) + b"trailing", 400),
        # A frame that wants a window of 2 GiB and holds one byte.
        ("zstd", bytes([0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x09, 0, 0, 0x41]), 400),
        ("gzip", gzip.compress(b"", 9) * 100_000, 400),
        ("zstd", zstandard.ZstdCompressor().compress(b"") * 100_000, 400),
    ]


def test_bombs_stop_at_the_limit(daemon):
    before = daemon.rss_bytes()
    for encoding, data, status in bombs():
        began = time.monotonic()
        reply = daemon.post("/v1/traces", data=data, headers={**PROTOBUF, "Content-Encoding": encoding})
        assert reply.status_code == status, (encoding, len(data), reply.text[:200])
        assert time.monotonic() - began < 5
    # Snappy says at its front how much comes out, and may lie.
    for length in (b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x20", b"\xff\xff\xff\x1f"):
        data = length + b"\xfe\x01\x00" * 50
        reply = daemon.post("/api/v1/write", data=data, headers={**PROTOBUF, "Content-Encoding": "snappy"})
        assert reply.status_code in (400, 413), reply.text
    eventually(lambda: daemon.rss_bytes() - before < 260e6)
    assert export(daemon, otlp.request(1, seed=299)[0]).status_code == 200


QUERIES = [
    ("/prometheus/api/v1/query", {"query": 'up{a=~"(a+)+$"}'}), ("/prometheus/api/v1/query", {"query": "(" * 60_000}),
    ("/prometheus/api/v1/query", {"query": 'up{a=~"' + "|".join("abcdefgh" for _ in range(7_000)) + '"}'}),
    ("/prometheus/api/v1/query", {"query": "-" * 60_000 + "1"}), ("/prometheus/api/v1/query", {"query": "1" * 65_537}),
    ("/prometheus/api/v1/query", {"query": 'label_replace(up, "a", "$1", "b", "((((((.*)*)*)*)*)*)*x")'}),
    ("/prometheus/api/v1/query", {"query": "up offset 9999999999999999999y"}),
    ("/prometheus/api/v1/query_range", {"query": "up", "start": "0", "end": "9e15", "step": "1e-9"}),
    ("/prometheus/api/v1/query_range", {"query": "up", "start": "-1e308", "end": "1e308", "step": "1"}),
    ("/api/crest/v1/search", {"limit": "9223372036854775807"}), ("/api/crest/v1/search", {"limit": "-1"}),
    ("/api/crest/v1/search", {"page": "f" * 68}), ("/api/crest/v1/search", {"page": "f" * 60_000}),
    ("/api/crest/v1/search", [("tag", f"k{n}:v") for n in range(2_000)]),
    ("/api/traces", {"service": "s", "limit": "1e9", "tags": '{"a":' * 5_000}),
    ("/api/traces", {"service": "s", "lookback": "999999999999h", "minDuration": "1e99s"}),
    ("/api/v2/traces", {"annotationQuery": " and ".join(["a=b"] * 5_000), "lookback": str((1 << 64) - 1)}),
    ("/api/v2/traces", {"endTs": str(1 << 70)}), ("/api/v2/traceMany", {"traceIds": ",".join(["1"] * 5_000)}),
    ("/api/crest/v1/series/range", {"name": "up", "from": "0", "to": str(1 << 62), "step": "1"}),
    ("/api/crest/v1/explain", {"line": "a" * 60_000 + ":1|c"}),
]


@pytest.mark.parametrize("path, query", QUERIES, ids=range(len(QUERIES)))
def test_query_bombs_are_answered_at_once(shared_daemon, path, query):
    before = shared_daemon.cpu_seconds()
    reply = shared_daemon.get(path, params=query) if len(str(query)) < 50_000 or "prometheus" not in path \
        else shared_daemon.post(path, data=query)
    assert reply.status_code in (200, 400, 404, 414, 422, 431), (reply.status_code, reply.text[:200])
    assert shared_daemon.cpu_seconds() - before < 3
    assert shared_daemon.get("/-/ready").status_code == 200


@pytest.mark.parametrize("head, status", [
    (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\nContent-Length: 1\r\n\r\nx", 415),
    (b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
     b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx", 415),
    (b"PUT /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 405),
    (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405), (b"CONNECT a:1 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    (b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 404), (b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", 505),
], ids=["media type", "encoding", "method", "trace", "connect", "path", "version"])
def test_what_is_not_known_is_named(shared_daemon, head, status):
    host, port = shared_daemon.address["http"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head)
        reply = connection.recv(65536)
    assert reply.split(b" ")[1] == str(status).encode(), reply[:300]
