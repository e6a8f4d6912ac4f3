"""OTLP/HTTP by the letter of its specification: types, statuses, bodies, and HTTP as clients really speak it."""
import gzip
import http.client
import json
import socket

import pytest
import requests
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest, ExportMetricsServiceResponse)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

import otlp
from test_encodings import otlp_json
from test_otlp import own_trace, values

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def post(daemon, body, media_type, path="/v1/traces", **headers):
    return daemon.post(path, "otlp-http", data=body, headers={"Content-Type": media_type, **headers})


def status_of(reply):
    """The `google.rpc.Status` of a failure, in the encoding of the request."""
    if reply.headers["Content-Type"] == JSON:
        return json.loads(reply.content)["code"], json.loads(reply.content)["message"]
    assert reply.headers["Content-Type"] == PROTOBUF
    status = Status.FromString(reply.content)
    return status.code, status.message


def violation(reply):
    """Of bad data: field and description in the details."""
    if reply.headers["Content-Type"] == JSON:
        detail, = reply.json()["details"]
        assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
        found, = detail["fieldViolations"]
        return found.get("field", ""), found["description"]
    detail, = Status.FromString(reply.content).details
    bad = BadRequest()
    assert detail.Unpack(bad)
    return bad.field_violations[0].field, bad.field_violations[0].description


def one_trace(seed):
    message, (trace_id,) = otlp.request(1, 3, seed=seed)
    return message, trace_id.hex()


# Types.


@pytest.mark.parametrize("number, media_type", enumerate([
    "application/json; charset=utf-8", "application/json;charset=UTF-8", "Application/JSON", "application/json ; x=y",
    "application/x-protobuf; messageType=\"x.Y\"", "APPLICATION/X-PROTOBUF"]))
def test_media_types_with_parameters(shared_daemon, number, media_type):
    message, trace_id = one_trace(7_000 + number)
    is_json = "json" in media_type.lower()
    reply = post(shared_daemon, otlp_json(message) if is_json else message.SerializeToString(), media_type)
    assert reply.status_code == 200 and reply.headers["Content-Type"] == (JSON if is_json else PROTOBUF)
    assert reply.content == (b"{}" if is_json else b"")
    assert len(own_trace(shared_daemon, trace_id)) == 3


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
def test_other_media_types(shared_daemon, path):
    for media_type in ("text/plain", "application/protobuf", "application/json5", "", "multipart/form-data"):
        reply = post(shared_daemon, b"{}", media_type, path)
        assert reply.status_code == 415 and JSON in reply.text and PROTOBUF in reply.text, media_type
    assert requests.request("POST", shared_daemon.url(path, "otlp-http"), timeout=10).status_code == 415


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics", "/v1/logs", "/v1development/profiles"])
def test_methods_and_unknown_signals(shared_daemon, path):
    """A failure is a Status where the request says in which encoding, else a text."""
    for media_type in (JSON, PROTOBUF):
        reply = requests.get(shared_daemon.url(path, "otlp-http"), headers={"Content-Type": media_type}, timeout=10)
        assert reply.status_code == 405 and reply.headers["Allow"] == "POST"
        assert "405" in status_of(reply)[1] or "not allowed" in status_of(reply)[1]
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        reply = requests.request(method, shared_daemon.url(path, "otlp-http"), timeout=10)
        assert reply.status_code == 405 and reply.headers["Content-Type"].startswith("text/plain")
    if path in ("/v1/logs", "/v1development/profiles"):
        for media_type, body in ((JSON, b"{}"), (PROTOBUF, b"")):
            reply = post(shared_daemon, body, media_type, path)
            code, message = status_of(reply)
            assert (reply.status_code, code) == (404, 12) and "not taken" in message
    for media_type in (JSON, PROTOBUF):
        reply = post(shared_daemon, b"", media_type, "/v1/nothing")
        assert reply.status_code == 404 and status_of(reply)[0] == 12


# Empty requests, partial success.


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
@pytest.mark.parametrize("body, media_type, answer", [
    (b"", PROTOBUF, b""), (b"{}", JSON, b"{}"), (b" {\n} ", JSON, b"{}"),
    (b'{"resourceSpans":[],"resourceMetrics":[]}', JSON, b"{}"),
    (b'{"resourceSpans":null,"resourceMetrics":null}', JSON, b"{}"),
    (b'{"resourceSpans":[{"scopeSpans":[]}],"resourceMetrics":[{"scopeMetrics":[{"metrics":[]}]}]}', JSON, b"{}")])
def test_empty_requests(shared_daemon, path, body, media_type, answer):
    for encoding, packed in (("identity", body), ("gzip", gzip.compress(body))):
        reply = post(shared_daemon, packed, media_type, path, **{"Content-Encoding": encoding})
        assert (reply.status_code, reply.content) == (200, answer), reply.text
        assert reply.headers["Content-Type"] == media_type


def test_a_body_of_nothing_is_no_json(shared_daemon):
    for path in ("/v1/traces", "/v1/metrics"):
        reply = post(shared_daemon, b"", JSON, path)
        assert reply.status_code == 400 and status_of(reply)[0] == 3


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_partial_success_of_spans(shared_daemon, media_type):
    message, trace_id = one_trace(7_100 + (media_type == JSON))
    message.resource_spans[0].scope_spans[0].spans[1].trace_id = bytes(16)
    is_json = media_type == JSON
    reply = post(shared_daemon, otlp_json(message) if is_json else message.SerializeToString(), media_type)
    assert reply.status_code == 200 and reply.headers["Content-Type"] == media_type
    if is_json:
        partial, = reply.json().values()
        # 64-bit integers are strings in JSON.
        assert partial["rejectedSpans"] == "1" and "spans[1]" in partial["errorMessage"]
    else:
        partial = ExportTraceServiceResponse.FromString(reply.content).partial_success
        assert partial.rejected_spans == 1 and "spans[1]" in partial.error_message
    assert len(own_trace(shared_daemon, trace_id)) == 2


@pytest.mark.parametrize("media_type", [JSON, PROTOBUF])
def test_partial_success_of_points(shared_daemon, media_type):
    message = ExportMetricsServiceRequest()
    scope = message.resource_metrics.add().scope_metrics.add()
    good = scope.metrics.add(name=f"partial_{'json' if media_type == JSON else 'protobuf'}")
    good.gauge.data_points.add(as_int=7)
    scope.metrics.add(name="without_temporality").sum.data_points.add(as_int=1)
    is_json = media_type == JSON
    body = otlp_json(message) if is_json else message.SerializeToString()
    reply = post(shared_daemon, body, media_type, "/v1/metrics")
    assert reply.status_code == 200 and reply.headers["Content-Type"] == media_type
    if is_json:
        assert reply.json()["partialSuccess"]["rejectedDataPoints"] == "1"
        assert "without_temporality" in reply.json()["partialSuccess"]["errorMessage"]
    else:
        partial = ExportMetricsServiceResponse.FromString(reply.content).partial_success
        assert partial.rejected_data_points == 1 and "without_temporality" in partial.error_message


# Failures.


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/metrics"])
def test_failures_are_in_the_encoding_of_the_request(shared_daemon, path):
    for media_type, body in ((JSON, b"[]"), (JSON, b'{"resourceSpans":1,"resourceMetrics":1}'), (JSON, b"{"),
                             (JSON, b"{} x"), (PROTOBUF, b"\x0a\x05a"), (PROTOBUF, b"{}"), (PROTOBUF, b"\x08\x01")):
        reply = post(shared_daemon, body, media_type, path)
        code, message = status_of(reply)
        assert (reply.status_code, code) == (400, 3) and message, (media_type, body, reply.content)
        assert reply.headers["Content-Type"] == media_type
        assert violation(reply)[1] == message
    nested = {"resourceSpans": [{}, {"resource": 7}], "resourceMetrics": [{}, {"resource": 7}]}
    field, _ = violation(post(shared_daemon, json.dumps(nested), JSON, path))
    assert field == ("resourceSpans[1]" if path == "/v1/traces" else "resourceMetrics[1]")
    for media_type in (JSON, PROTOBUF):
        reply = post(shared_daemon, b"x", media_type, path, **{"Content-Encoding": "br"})
        assert (reply.status_code, status_of(reply)[0]) == (415, 3)
        bomb = post(shared_daemon, gzip.compress(bytes(65 << 20)), media_type, path, **{"Content-Encoding": "gzip"})
        assert (bomb.status_code, status_of(bomb)[0]) == (413, 8)
        assert "Retry-After" not in bomb.headers


# JSON.


def hand_made(trace_id, **span):
    return {"resourceSpans": [{"scopeSpans": [{"spans": [
        {"traceId": trace_id, "spanId": "00000000000000a1", "name": "n", **span}]}]}]}


def test_json_forms(shared_daemon):
    trace_id = "5B8EFFF798038103D269B633813FC7F1"
    body = hand_made(
        trace_id, kind=3, startTimeUnixNano=1_544_712_660_000_000_000, endTimeUnixNano="1544712660000000001", flags=257,
        parentSpanId=None, traceState="a=b", droppedAttributesCount=2, unknown={"deep": [[{"x": 1e9}]]},
        status={"code": 2, "future": []},
        attributes=[
            {"key": "i", "value": {"intValue": 9_007_199_254_740_993}}, {"key": "j", "value": {"intValue": "-5"}},
            {"key": "d", "value": {"doubleValue": 1}}, {"key": "e", "value": {"doubleValue": "NaN"}},
            {"key": "f", "value": {"doubleValue": "-Infinity"}}, {"key": "b", "value": {"bytesValue": "_-8"}},
            {"key": "n", "value": None}, {"key": "m", "value": {}}, {"value": {"stringValue": "\u00fc"}, "key": "s"},
            {"key": "l", "value": {"arrayValue": {}}}, {"key": "k", "value": {"kvlistValue": {"values": []}}}],
        events=[{"name": "e", "timeUnixNano": "7", "attributes": [{"key": "x", "value": {"boolValue": True}}]}],
        links=[{"traceId": trace_id.lower(), "spanId": "B7AD6B7169203331", "flags": 1}])
    reply = shared_daemon.post("/v1/traces", "otlp-http", json=body)
    assert (reply.status_code, reply.content) == (200, b"{}")
    (_, _, span), = own_trace(shared_daemon, trace_id).values()
    assert span["kind"] == 3 and span["flags"] == 257 and span["status"] == {"code": 2} and "parentSpanId" not in span
    assert (span["startTimeUnixNano"], span["endTimeUnixNano"]) == ("1544712660000000000", "1544712660000000001")
    assert values(span["attributes"]) == {
        "i": 9_007_199_254_740_993, "j": -5, "d": 1.0, "e": pytest.approx(float("nan"), nan_ok=True),
        "f": float("-inf"), "b": "/+8=", "n": None, "m": None, "s": "ü", "l": [], "k": {}}
    assert span["events"][0]["timeUnixNano"] == "7" and span["links"][0]["spanId"] == "b7ad6b7169203331"
    assert span["droppedAttributesCount"] == 2 and span["traceState"] == "a=b"


@pytest.mark.parametrize("change", [
    {"kind": "SPAN_KIND_SERVER"}, {"traceId": "W47/95gDgQPSabYzgT/GDA=="}, {"startTimeUnixNano": "1.5"},
    {"startTimeUnixNano": -1}, {"name": 5}, {"attributes": {}}, {"status": {"code": "STATUS_CODE_ERROR"}}])
def test_json_that_the_specification_forbids(shared_daemon, change):
    """Enums by name, ids as base64, fractions of nanoseconds: told, never guessed."""
    reply = shared_daemon.post("/v1/traces", "otlp-http", json=hand_made("5b8efff798038103d269b633813fc7f2", **change))
    assert reply.status_code == 400 and "resourceSpans[0]" in reply.json()["message"], reply.text


@pytest.mark.parametrize("path, body", [
    ("/v1/traces", {"resource_spans": hand_made("5b8efff798038103d269b633813fc7f3")["resourceSpans"]}),
    ("/v1/traces", {"batches": []}), ("/v1/metrics", {"resource_metrics": []}),
    ("/v1/metrics", hand_made("5b8efff798038103d269b633813fc7f3"))])
def test_json_that_holds_nothing_known_gets_a_warning(shared_daemon, path, body):
    """Unknown fields must be ignored; but who sends nothing else should know."""
    reply = shared_daemon.post(path, "otlp-http", json=body)
    partial = reply.json()["partialSuccess"]
    assert reply.status_code == 200 and "rejectedSpans" not in partial and "rejectedDataPoints" not in partial
    assert next(iter(body)) in partial["errorMessage"]


# HTTP.


def spoken(daemon, *requests):
    """Raw requests on one connection, one after the other; gives the connection's answers as (status, headers, body)."""
    host, port = daemon.address["otlp-http"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as out:
        out.sendall(b"".join(requests))
        reader = out.makefile("rb")
        answers = []
        for _ in requests:
            status = int(reader.readline().split()[1])
            headers = http.client.parse_headers(reader)
            answers.append((status, headers, reader.read(int(headers["Content-Length"]))))
        out.settimeout(0.2)
        try:
            ended = reader.read(1) == b""
        except TimeoutError:
            ended = False
        return answers, ended


def head(*lines, version="1.1"):
    fixed = [f"POST /v1/traces HTTP/{version}", "Host: localhost", f"Content-Type: {PROTOBUF}"]
    return "\r\n".join([*fixed, *lines, "", ""]).encode()


def test_keep_alive_and_pipelining(shared_daemon):
    sent = [one_trace(7_200 + number) for number in range(5)]
    bodies = [message.SerializeToString() for message, _ in sent]
    answers, ended = spoken(shared_daemon, *[head(f"Content-Length: {len(body)}") + body for body in bodies])
    assert [(status, body) for status, _, body in answers] == [(200, b"")] * 5 and not ended
    for _, trace_id in sent:
        assert len(own_trace(shared_daemon, trace_id)) == 3


@pytest.mark.parametrize("number, lines, version, ends", [
    (0, [], "1.0", True), (1, ["Connection: keep-alive"], "1.0", False), (2, ["Connection: close"], "1.1", True),
    (3, [], "1.1", False), (4, ["Connection: Keep-Alive"], "1.1", False)])
def test_versions_and_connections(shared_daemon, number, lines, version, ends):
    message, trace_id = one_trace(7_300 + number)
    body = message.SerializeToString()
    ((status, headers, answer),), ended = spoken(
        shared_daemon, head(f"Content-Length: {len(body)}", *lines, version=version) + body)
    assert (status, answer, ended) == (200, b"", ends), headers
    assert len(own_trace(shared_daemon, trace_id)) == 3


@pytest.mark.parametrize("packed", [False, True])
def test_chunked_bodies(shared_daemon, packed):
    message, trace_id = one_trace(7_400 + packed)
    body = message.SerializeToString()
    body = gzip.compress(body) if packed else body
    parts = [body[at:at + 100] for at in range(0, len(body), 100)]
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts)
    lines = ["Transfer-Encoding: chunked", *(["Content-Encoding: gzip"] if packed else [])]
    ((status, _, answer),), _ = spoken(shared_daemon, head(*lines) + chunks + b"0\r\nTrailer: x\r\n\r\n")
    assert (status, answer) == (200, b"")
    assert len(own_trace(shared_daemon, trace_id)) == 3


def test_expect_continue(shared_daemon):
    message, trace_id = one_trace(7_500)
    body = message.SerializeToString()
    host, port = shared_daemon.address["otlp-http"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=10) as out:
        out.sendall(head(f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert out.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        out.sendall(body)
        assert out.recv(10_000).startswith(b"HTTP/1.1 200 OK\r\n")
    assert len(own_trace(shared_daemon, trace_id)) == 3
    # Who may not send is told before the body.
    with socket.create_connection((host, int(port)), timeout=10) as out:
        out.sendall(head(f"Content-Length: {65 << 20}", "Expect: 100-continue"))
        assert out.recv(10_000).startswith(b"HTTP/1.1 413 ")


def test_both_encodings_and_both_signals_on_one_connection(shared_daemon):
    with requests.Session() as session:
        for number, media_type in enumerate([JSON, PROTOBUF, JSON]):
            message, trace_id = one_trace(7_600 + number)
            body = otlp_json(message) if media_type == JSON else message.SerializeToString()
            reply = session.post(shared_daemon.url("/v1/traces", "otlp-http"), data=body, timeout=10, headers={
                "Content-Type": media_type, "Accept-Encoding": "gzip, br", "Accept": "*/*"})
            assert reply.status_code == 200 and len(own_trace(shared_daemon, trace_id)) == 3
            metrics = ExportMetricsServiceRequest()
            body = otlp_json(metrics) if media_type == JSON else metrics.SerializeToString()
            reply = session.post(shared_daemon.url("/v1/metrics", "otlp-http"), data=body, timeout=10, headers={
                "Content-Type": media_type})
            assert reply.status_code == 200
