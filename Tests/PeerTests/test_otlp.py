"""OpenTelemetry's SDK and hand-made OTLP in; every field read back span by span."""
import gzip
import json
import zlib

import pytest
import zstandard
from google.rpc.status_pb2 import Status
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanKind, Status as SpanStatus, StatusCode

import otlp


def own_trace(daemon, trace_id):
    """All spans of a trace from our own API, as {span id: (resource attributes, scope, span)}."""
    reply = daemon.json(f"/api/crest/v1/traces/{trace_id}")
    spans = {}
    for resource_spans in reply["resourceSpans"]:
        resource = values(resource_spans["resource"].get("attributes", []))
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                spans[span["spanId"]] = (resource, scope_spans.get("scope", {}), span)
    return spans


def value(any_value):
    (kind, content), = any_value.items() or [("empty", None)]
    if kind == "intValue":
        return int(content)
    if kind == "doubleValue":
        return float(content)
    if kind == "arrayValue":
        return [value(item) for item in content.get("values", [])]
    if kind == "kvlistValue":
        return values(content.get("values", []))
    return content


def values(attributes):
    return {item["key"]: value(item["value"]) for item in attributes}


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_sdk_spans_come_back_whole(shared_daemon, compression):
    exporter = OTLPSpanExporter(
        endpoint=shared_daemon.url("/v1/traces", "otlp-http"), compression=compression)
    provider = TracerProvider(resource=Resource.create({
        "service.name": "checkout", "service.version": "1.2.3", "host.cpus": 8}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("peer.tests", "0.9", attributes={"lib": "x"})
    other = trace.SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True)
    sent = {}
    with tracer.start_as_current_span("POST /checkout", kind=SpanKind.SERVER, links=[
        Link(other, {"why": "retry"})
    ]) as root:
        sent["root"] = root
        for kind in (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL):
            with tracer.start_as_current_span(f"child {kind.name}", kind=kind) as child:
                sent[kind.name] = child
                child.set_attribute("text", "naïve – ünïcode ☂")
                child.set_attribute("int", -(2**62))
                child.set_attribute("float", 0.1)
                child.set_attribute("flag", True)
                child.set_attribute("list", ["a", "b"])
                child.set_attribute("ints", [1, 2, 3])
                child.add_event("stock.checked", {"left": 7, "sku": "sku-1"})
                if kind == SpanKind.CLIENT:
                    child.set_status(SpanStatus(StatusCode.ERROR, "upstream 504"))
        root.set_status(SpanStatus(StatusCode.OK))
    provider.shutdown()

    trace_id = f"{sent['root'].context.trace_id:032x}"
    stored = own_trace(shared_daemon, trace_id)
    assert len(stored) == 5
    for span in sent.values():
        resource, scope, found = stored[f"{span.context.span_id:016x}"]
        assert resource["service.name"] == "checkout" and resource["host.cpus"] == 8
        assert scope["name"] == "peer.tests" and scope["version"] == "0.9"
        assert values(scope["attributes"]) == {"lib": "x"}
        assert found["traceId"] == trace_id
        assert found["name"] == span.name
        assert int(found["startTimeUnixNano"]) == span.start_time
        assert int(found["endTimeUnixNano"]) == span.end_time
        assert found["kind"] == span.kind.value + 1
        assert found.get("parentSpanId", "") == (f"{span.parent.span_id:016x}" if span.parent else "")
        expected = {key: list(item) if isinstance(item, tuple) else item for key, item in span.attributes.items()}
        assert values(found.get("attributes", [])) == expected
        assert found.get("status", {}).get("code", 0) == span.status.status_code.value
        assert found.get("status", {}).get("message", "") == (span.status.description or "")
        assert [(int(e["timeUnixNano"]), e["name"], values(e["attributes"])) for e in found.get("events", [])] == [
            (e.timestamp, e.name, dict(e.attributes)) for e in span.events]
        assert [(link["traceId"], link["spanId"], values(link["attributes"])) for link in found.get("links", [])] == [
            (f"{link.context.trace_id:032x}", f"{link.context.span_id:016x}", dict(link.attributes))
            for link in span.links]


def test_attributes_of_every_type(shared_daemon):
    message, (trace_id,) = otlp.request(1, 1, seed=2)
    everything = {
        "string": "x", "empty": "", "bool": False, "int": 2**63 - 1, "double": 1e300, "bytes": b"\x00\xff",
        "array": ["a", 1, True, 2.5, ["deep", {"k": b"v"}]], "map": {"a": 1, "b": {"c": [1.5]}},
    }
    span = message.resource_spans[0].scope_spans[0].spans[0]
    del span.attributes[:]
    span.attributes.extend(otlp.attributes(everything))
    span.attributes.add(key="none")
    span.trace_state = "vendor=1"
    span.flags = 257
    span.dropped_attributes_count = 3
    span.dropped_events_count = 4
    span.dropped_links_count = 5
    message.resource_spans[0].schema_url = "https://example.com/resource"
    message.resource_spans[0].scope_spans[0].schema_url = "https://example.com/scope"
    message.resource_spans[0].resource.dropped_attributes_count = 6
    assert otlp.export(shared_daemon, message).status_code == 200
    reply = shared_daemon.json(f"/api/crest/v1/traces/{trace_id.hex()}")
    resource_spans, = reply["resourceSpans"]
    scope_spans, = resource_spans["scopeSpans"]
    found, = scope_spans["spans"]
    import base64
    def plain(item):
        if isinstance(item, bytes):
            return base64.b64encode(item).decode()
        if isinstance(item, list):
            return [plain(inner) for inner in item]
        if isinstance(item, dict):
            return {key: plain(inner) for key, inner in item.items()}
        return item
    got = values(found["attributes"])
    assert got.pop("none") is None
    assert got == plain(everything)
    assert found["traceState"] == "vendor=1" and found["flags"] == 257
    assert (found["droppedAttributesCount"], found["droppedEventsCount"], found["droppedLinksCount"]) == (3, 4, 5)
    assert resource_spans["schemaUrl"] == "https://example.com/resource"
    assert scope_spans["schemaUrl"] == "https://example.com/scope"
    assert resource_spans["resource"]["droppedAttributesCount"] == 6


def test_json_by_hand(shared_daemon):
    body = {"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "json-shop"}}]},
        "unknownField": {"ignored": [1, 2, {"x": None}]},
        "scopeSpans": [{"scope": {"name": "hand"}, "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
            "name": "I'm a server span", "kind": 2,
            "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1544712661000000001,
            "attributes": [
                {"key": "n", "value": {"intValue": "9007199254740993"}},
                {"key": "m", "value": {"intValue": 7}},
                {"key": "b", "value": {"bytesValue": "AP8="}},
                {"key": "u", "value": {"stringValue": "\u2602 \ud83d\ude00"}}],
            "status": {"code": 2, "message": "no"}}]}]}]}
    reply = shared_daemon.post("/v1/traces", json=body)
    assert reply.status_code == 200 and reply.json() == {}
    assert reply.headers["Content-Type"].startswith("application/json")
    (_, _, span), = own_trace(shared_daemon, "5b8efff798038103d269b633813fc60c").values()
    assert span["startTimeUnixNano"] == "1544712660000000000"
    assert span["endTimeUnixNano"] == "1544712661000000001"
    assert values(span["attributes"]) == {"n": 9007199254740993, "m": 7, "b": "AP8=", "u": "☂ 😀"}


@pytest.mark.parametrize("encoding, encode", [
    ("identity", lambda body: body), ("gzip", gzip.compress), ("deflate", zlib.compress),
    ("zstd", lambda body: zstandard.ZstdCompressor().compress(body))])
@pytest.mark.parametrize("listener", ["otlp-http", "http"])
def test_encodings(shared_daemon, encoding, encode, listener):
    message, ids = otlp.request(2, seed=hash((encoding, listener)) & 0xFFFF)
    reply = shared_daemon.post("/v1/traces", listener, data=encode(message.SerializeToString()), headers={
        "Content-Type": "application/x-protobuf", "Content-Encoding": encoding})
    assert reply.status_code == 200
    assert reply.headers["Content-Type"] == "application/x-protobuf"
    assert reply.headers["crest-durability"] == "synced" and int(reply.headers["crest-seq"]) > 0
    assert ExportTraceServiceResponse.FromString(reply.content) == ExportTraceServiceResponse()
    for trace_id in ids:
        assert len(own_trace(shared_daemon, trace_id.hex())) == 3


def test_partial_success_names_the_bad_spans(shared_daemon):
    message, (trace_id,) = otlp.request(1, 5, seed=3)
    spans = message.resource_spans[0].scope_spans[0].spans
    spans[1].trace_id = b"\x00" * 16
    spans[2].span_id = b"\x00" * 8
    spans[3].trace_id = b"short"
    reply = otlp.export(shared_daemon, message)
    assert reply.status_code == 200
    partial = ExportTraceServiceResponse.FromString(reply.content).partial_success
    assert partial.rejected_spans == 3
    assert partial.error_message
    assert len(own_trace(shared_daemon, trace_id.hex())) == 2


def test_empty_request_is_a_success(shared_daemon):
    reply = otlp.export(shared_daemon, ExportTraceServiceRequest())
    assert reply.status_code == 200 and reply.headers["crest-durability"] == "synced"
    assert shared_daemon.post("/v1/traces", json={}).json() == {}


def test_error_bodies_are_status_messages(shared_daemon):
    reply = shared_daemon.post("/v1/traces", data=b"\x0a\xff\xff\xff\xff\x0f", headers={
        "Content-Type": "application/x-protobuf"})
    assert reply.status_code == 400
    status = Status.FromString(reply.content)
    assert status.code == 3 and status.message
    reply = shared_daemon.post("/v1/traces", data=b'{"resourceSpans": [{]}', headers={
        "Content-Type": "application/json"})
    assert reply.status_code == 400
    assert json.loads(reply.content)["code"] == 3 and "20" in json.loads(reply.content)["message"]


def test_the_same_span_twice_is_shown_once(shared_daemon):
    message, (trace_id,) = otlp.request(1, 3, seed=4)
    for _ in range(2):
        assert otlp.export(shared_daemon, message).status_code == 200
    spans = shared_daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]
    assert len(spans) == 3
