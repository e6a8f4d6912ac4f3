"""Zipkin's other forms from py-zipkin, Jaeger spans from jaeger-client, and thrift written by thriftpy2."""
import re
import socket
import uuid
from pathlib import Path

import opentracing
import pytest
import requests
import thriftpy2
from jaeger_client import Config
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import create_attrs_for_span, zipkin_span
from thriftpy2.protocol.binary import TBinaryProtocol
from thriftpy2.protocol.compact import TCompactProtocol
from thriftpy2.thrift import TMessageType, TType
from thriftpy2.transport import TMemoryBuffer

from daemon import eventually

IDL = Path(__file__).parent / "idl"
jaeger = thriftpy2.load(str(IDL / "jaeger.thrift"), module_name="jaeger_thrift")
zipkin = thriftpy2.load(str(IDL / "zipkin.thrift"), module_name="zipkin_thrift")
START = 1_790_000_000_000_000


def metric(daemon, name, **labels):
    """The value of a sample, zero when there is none."""
    wanted = "".join(sorted(f'{key}="{value}"' for key, value in labels.items()))
    total = 0.0
    for line in daemon.get("/metrics").text.splitlines():
        match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name and (match[2] or "") == wanted:
            total += float(match[3])
    return total


# Zipkin


@pytest.mark.parametrize("encoding, path, content_type", [
    (Encoding.V1_JSON, "/api/v1/spans", "application/json"),
    (Encoding.V2_PROTO3, "/api/v2/spans", "application/x-protobuf"),
    (Encoding.V2_PROTO3, "/zipkin/api/v2/spans", "application/x-protobuf"),
])
@pytest.mark.parametrize("listener", ["zipkin", "http"])
def test_py_zipkin(shared_daemon, encoding, path, content_type, listener):
    def transport(encoded):
        reply = requests.post(
            shared_daemon.url(path, listener), data=encoded, headers={"Content-Type": content_type})
        assert (reply.status_code, reply.content) == (202, b""), reply.text

    attrs = create_attrs_for_span(sample_rate=100.0, use_128bit_trace_id=True)
    with zipkin_span(service_name="Order", span_name="Create", transport_handler=transport, port=8080,
                     zipkin_attrs=attrs, encoding=encoding, kind=Kind.SERVER) as span:
        span.update_binary_annotations({"sku": "sku-7"})
        span.add_annotation("reserved")
        with zipkin_span(service_name="Order", span_name="Select", kind=Kind.CLIENT) as child:
            child.add_sa_binary_annotation(port=3306, service_name="MySQL", host="127.0.0.2")
    trace = shared_daemon.json(f"/api/v2/trace/{attrs.trace_id}", "zipkin")
    assert sorted(item["name"] for item in trace) == ["create", "select"]
    root = next(item for item in trace if item["name"] == "create")
    child = next(item for item in trace if item["name"] == "select")
    assert root["id"] == attrs.span_id and child["parentId"] == attrs.span_id
    assert root["kind"] == "SERVER" and child["kind"] == "CLIENT"
    assert root["tags"]["sku"] == "sku-7"
    assert "reserved" in [item["value"] for item in root["annotations"]]
    assert root["localEndpoint"]["serviceName"] == "order" and root["localEndpoint"]["port"] == 8080
    assert child["remoteEndpoint"]["serviceName"] == "mysql" and child["remoteEndpoint"]["port"] == 3306
    assert child["remoteEndpoint"]["ipv4"] == "127.0.0.2"
    assert root["timestamp"] > 0 and root["duration"] > 0


def zipkin_list(spans):
    buffer = TMemoryBuffer()
    buffer.write(bytes([TType.STRUCT]) + len(spans).to_bytes(4, "big"))
    for item in spans:
        TBinaryProtocol(buffer).write_struct(item)
    return buffer.getvalue()


def test_zipkin_v1_thrift(shared_daemon):
    front = zipkin.Endpoint(ipv4=0x7f000001, port=80, service_name="front")
    back = zipkin.Endpoint(ipv4=0x7f000002, port=81, service_name="back")
    notes = [(START, "cs", front), (START + 10, "sr", back), (START + 20, "ss", back), (START + 40, "cr", front)]
    span = zipkin.Span(
        trace_id=0x7a1, trace_id_high=0x7a0, id=0x7b1, parent_id=0x7b0, name="Get", debug=True, timestamp=START,
        duration=40, annotations=[zipkin.Annotation(timestamp=t, value=v, host=h) for t, v, h in notes],
        binary_annotations=[
            zipkin.BinaryAnnotation(key="path", value=b"/api", annotation_type=6, host=front),
            zipkin.BinaryAnnotation(key="n", value=(7).to_bytes(4, "big"), annotation_type=3, host=back)])
    reply = shared_daemon.post("/api/v1/spans", "zipkin", data=zipkin_list([span]), headers={
        "Content-Type": "application/x-thrift"})
    assert (reply.status_code, reply.content) == (202, b""), reply.text
    found = shared_daemon.json(f"/api/v2/trace/{0x7a0:016x}{0x7a1:016x}", "zipkin")
    common = {"traceId": f"{0x7a0:016x}{0x7a1:016x}", "id": f"{0x7b1:016x}", "parentId": f"{0x7b0:016x}",
              "name": "get", "debug": True}
    assert sorted(found, key=lambda item: item["kind"]) == [
        {**common, "kind": "CLIENT", "timestamp": START, "duration": 40, "tags": {"path": "/api"},
         "localEndpoint": {"serviceName": "front", "ipv4": "127.0.0.1", "port": 80}},
        {**common, "kind": "SERVER", "timestamp": START + 10, "duration": 10, "tags": {"n": "7"}, "shared": True,
         "localEndpoint": {"serviceName": "back", "ipv4": "127.0.0.2", "port": 81}}]


# Jaeger


def test_jaeger_client(shared_daemon):
    host, port = shared_daemon.udp("jaeger-udp")
    before = metric(shared_daemon, "crest_datagrams_received_total", listener="jaeger-udp")
    tracer = Config(config={
        "sampler": {"type": "const", "param": 1}, "reporter_batch_size": 1, "generate_128bit_trace_id": True,
        "local_agent": {"reporting_host": host, "reporting_port": port}, "tags": {"rack": 7},
    }, service_name="Order", validate=True).new_tracer()
    tags = {"span.kind": "server", "n": 7, "ratio": 0.5, "ok": True, "error": True}
    with tracer.start_span("Create", tags=tags) as root:
        root.log_kv({"event": "reserved", "sku": "sku-7"})
        with tracer.start_span("Select", child_of=root) as child:
            child.set_tag("span.kind", "client")
        with tracer.start_span("Later", references=[opentracing.follows_from(root.context)]):
            pass
    trace_id = f"{root.trace_id:032x}"

    def whole():
        reply = shared_daemon.get(f"/api/traces/{trace_id}")
        trace = reply.json()["data"][0] if reply.status_code == 200 else {"spans": []}
        return trace if len(trace["spans"]) == 3 else None

    trace = eventually(whole)
    tracer.close()
    spans = {span["operationName"]: span for span in trace["spans"]}
    create = spans["Create"]
    assert create["spanID"] == f"{root.span_id:016x}" and create["references"] == [] and create["flags"] == 1
    found = {tag["key"]: (tag["type"], tag["value"]) for tag in create["tags"]}
    assert found["n"] == ("int64", 7) and found["ratio"] == ("float64", 0.5)
    assert found["ok"] == ("bool", True) and found["error"] == ("bool", True)
    assert found["span.kind"] == ("string", "server")
    fields = {field["key"]: field["value"] for field in create["logs"][0]["fields"]}
    assert fields == {"event": "reserved", "sku": "sku-7"}
    parent = {"refType": "CHILD_OF", "traceID": trace_id, "spanID": create["spanID"]}
    assert spans["Select"]["references"] == [parent]
    assert {**parent, "refType": "FOLLOWS_FROM"} in spans["Later"]["references"]
    process = trace["processes"][create["processID"]]
    assert process["serviceName"] == "Order"
    assert {"key": "rack", "type": "int64", "value": 7} in process["tags"]
    assert "Order" in shared_daemon.json("/api/services")["data"]
    assert metric(shared_daemon, "crest_datagrams_received_total", listener="jaeger-udp") == before + 3


def test_jaeger_client_as_it_is_by_default(shared_daemon):
    """64-bit ids, batches of ten by a thread of the client; baggage, errors and values of every kind in tags. Only
    the client's queue is larger than usual, or it would drop most of the burst itself."""
    host, port = shared_daemon.udp("jaeger-udp")
    tracer = Config(config={
        "sampler": {"type": "const", "param": 1}, "reporter_queue_size": 1_000,
        "local_agent": {"reporting_host": host, "reporting_port": port}}, service_name="by default").new_tracer()
    tags = {"text": "☂ ü", "long": "x" * 1_000, "none": None, "list": [1, "a"], "neg": -(2**62), "f": 1.5, "b": False}
    sent = {}
    for number in range(200):
        with tracer.start_span("root", tags={**tags, "n": number}) as root:
            root.set_baggage_item("user", "u1")
            root.log_kv({"event": "tried", "error.object": ValueError("no ☂")})
            with tracer.start_span("child", child_of=root):
                pass
        sent[root.trace_id] = number

    def all_there():
        found = [shared_daemon.get(f"/api/traces/{trace_id:016x}").json()["data"] for trace_id in sent]
        return all(data and len(data[0]["spans"]) == 2 for data in found)
    eventually(all_there)
    tracer.close()
    for trace_id, number in list(sent.items())[::20]:
        trace, = shared_daemon.json(f"/api/traces/{trace_id:016x}")["data"]
        root, child = sorted(trace["spans"], key=lambda span: span["operationName"], reverse=True)
        found = {tag["key"]: tag["value"] for tag in root["tags"]}
        assert found["n"] == number and found["text"] == "☂ ü" and found["long"] == "x" * 1_000
        assert found["neg"] == str(-(2**62)) and found["f"] == 1.5 and found["b"] is False
        assert found["none"] == "None" and found["list"] == "[1, 'a']"
        events = [{field["key"]: field["value"] for field in log["fields"]} for log in root["logs"]]
        assert events == [{"event": "baggage", "key": "user", "value": "u1"},
                          {"event": "tried", "error.object": "no ☂"}]
        assert [item["spanID"] for item in child["references"]] == [root["spanID"]]
        assert trace["traceID"] == f"{trace_id:016x}"
        zipkin_root = next(item for item in shared_daemon.json(f"/api/v2/trace/{trace_id:x}", "zipkin")
                           if item["name"] == "root")
        assert zipkin_root["tags"]["neg"] == str(-(2**62)) and zipkin_root["timestamp"] == root["startTime"]


def tag(key, value):
    names = {bool: (2, "vBool"), int: (3, "vLong"), float: (1, "vDouble"), str: (0, "vStr"), bytes: (4, "vBinary")}
    number, name = names[type(value)]
    return jaeger.Tag(key=key, vType=number, **{name: value})


def span(trace, number, high=0, **changes):
    fields = {"traceIdLow": trace, "traceIdHigh": high, "spanId": number, "parentSpanId": 0,
              "operationName": "get", "flags": 1, "startTime": START, "duration": 1500, **changes}
    return jaeger.Span(**fields)


def batch(spans, *tags, **more):
    return jaeger.Batch(process=jaeger.Process(serviceName="shop", tags=list(tags)), spans=spans, **more)


def binary(value):
    buffer = TMemoryBuffer()
    TBinaryProtocol(buffer).write_struct(value)
    return buffer.getvalue()


def message(name, arguments, protocol):
    buffer = TMemoryBuffer()
    writer = protocol(buffer)
    writer.write_message_begin(name, TMessageType.ONEWAY, 1)
    writer.write_struct(arguments)
    writer.write_message_end()
    return buffer.getvalue()


def datagram(value, protocol=TCompactProtocol):
    return message("emitBatch", jaeger.EmitBatchArguments(batch=value), protocol)


def everything(trace):
    references = [jaeger.SpanRef(refType=0, traceIdLow=trace, traceIdHigh=1, spanId=5),
                  jaeger.SpanRef(refType=1, traceIdLow=9, traceIdHigh=0, spanId=8)]
    logs = [jaeger.Log(timestamp=START + 1, fields=[tag("event", "retry"), tag("n", 2)])]
    tags = [tag("text", "Grüße"), tag("n", -7), tag("ratio", 0.25), tag("ok", False), tag("raw", b"\x00\xff")]
    return batch([span(trace, 6, 1, flags=3, references=references, logs=logs, tags=tags)], tag("hostname", "h1"))


@pytest.mark.parametrize("way, trace", [("http", 0x111), ("jaeger-http", 0x222), ("compact", 0x333), ("binary", 0x444)])
def test_jaeger_thrift_every_way(shared_daemon, way, trace):
    if way in ("compact", "binary"):
        protocol = TCompactProtocol if way == "compact" else TBinaryProtocol
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(datagram(everything(trace), protocol), shared_daemon.udp("jaeger-udp"))
    else:
        reply = shared_daemon.post("/api/traces", way, data=binary(everything(trace)), headers={
            "Content-Type": "application/vnd.apache.thrift.binary"})
        assert (reply.status_code, reply.content) == (202, b""), reply.text
    trace_id = f"{1:016x}{trace:016x}"
    found = eventually(lambda: shared_daemon.get(f"/api/traces/{trace_id}").json()["data"])[0]
    assert found["spans"][0] == {
        "traceID": trace_id, "spanID": f"{6:016x}", "flags": 3, "operationName": "get", "startTime": START,
        "duration": 1500, "processID": "p1", "warnings": None,
        "references": [{"refType": "CHILD_OF", "traceID": trace_id, "spanID": f"{5:016x}"},
                       {"refType": "FOLLOWS_FROM", "traceID": f"{9:016x}", "spanID": f"{8:016x}"}],
        "tags": [{"key": "text", "type": "string", "value": "Grüße"}, {"key": "n", "type": "int64", "value": -7},
                 {"key": "ratio", "type": "float64", "value": 0.25}, {"key": "ok", "type": "bool", "value": False},
                 {"key": "raw", "type": "binary", "value": "AP8="}],
        "logs": [{"timestamp": START + 1, "fields": [{"key": "event", "type": "string", "value": "retry"},
                                                     {"key": "n", "type": "int64", "value": 2}]}]}
    assert found["processes"]["p1"] == {
        "serviceName": "shop", "tags": [{"key": "hostname", "type": "string", "value": "h1"}]}


@pytest.mark.parametrize("protocol, trace", [(TCompactProtocol, 0xd01), (TBinaryProtocol, 0xd02)])
def test_zipkin_spans_in_jaegers_datagrams(shared_daemon, protocol, trace):
    host = zipkin.Endpoint(ipv4=0x0a000001, port=80, service_name="old")
    item = zipkin.Span(
        trace_id=trace, id=0xe1, parent_id=0xe0, name="call", timestamp=START, duration=50,
        annotations=[zipkin.Annotation(timestamp=START + at, value=value, host=host)
                     for at, value in ((0, "sr"), (50, "ss"))],
        binary_annotations=[zipkin.BinaryAnnotation(key="k", value=b"v", annotation_type=6, host=host)])
    sent = message("emitZipkinBatch", zipkin.EmitZipkinBatchArguments(spans=[item]), protocol)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(sent, shared_daemon.udp("jaeger-udp"))
    eventually(lambda: shared_daemon.get(f"/api/v2/trace/{trace:x}", "zipkin").status_code == 200)
    assert shared_daemon.json(f"/api/v2/trace/{trace:x}", "zipkin") == [{
        "traceId": f"{trace:016x}", "id": f"{0xe1:016x}", "parentId": f"{0xe0:016x}", "kind": "SERVER", "name": "call",
        "timestamp": START, "duration": 50, "tags": {"k": "v"},
        "localEndpoint": {"serviceName": "old", "ipv4": "10.0.0.1", "port": 80}}]


def test_jaeger_http_refusals(shared_daemon):
    headers = {"Content-Type": "application/x-thrift"}
    body = binary(batch([span(0, 1)]))
    assert shared_daemon.post("/api/traces", "jaeger-http", data=body, headers=headers).status_code == 400
    cut = shared_daemon.post("/api/traces", "jaeger-http", data=body[:-1], headers=headers)
    assert cut.status_code == 400 and f"byte {len(body) - 1}" in cut.text
    assert shared_daemon.post("/api/traces", "jaeger-http", json={}).status_code == 415
    mixed = binary(batch([span(0, 1), span(0x555, 2)]))
    assert shared_daemon.post("/api/traces", "jaeger-http", data=mixed, headers=headers).status_code == 202
    assert len(shared_daemon.json("/api/traces/555")["data"][0]["spans"]) == 1
    assert shared_daemon.ledger()["balanced"]


def test_client_statistics_and_bad_datagrams(shared_daemon):
    names = {"missing": "crest_jaeger_batches_missing_total", "late": "crest_jaeger_batches_late_total"}
    before = {key: metric(shared_daemon, name) for key, name in names.items()}
    dropped = metric(shared_daemon, "crest_jaeger_client_spans_dropped_total", cause="full_queue")
    malformed = metric(shared_daemon, "crest_span_datagrams_rejected_total", reason="malformed")
    unknown = metric(shared_daemon, "crest_span_datagrams_rejected_total", reason="unknown_message")
    clients = [str(uuid.uuid4()) for _ in range(3)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(shared_daemon.udp("jaeger-udp"))
        for index, client in enumerate(clients):
            for number in (1, 2, 5, 4, 6):
                stats = jaeger.ClientStats(
                    fullQueueDroppedSpans=number * 10, tooLargeDroppedSpans=0, failedToEmitSpans=0)
                sender.send(datagram(batch(
                    [span(0x600 + index, number)], tag("client-uuid", client), seqNo=number, stats=stats)))
        sender.send(b"hello")
        sender.send(datagram(batch([span(0x666, 1)]))[:-3])
        sender.send(b"\x82\x81\x01\x09emitBatch\x1c\x1c\x18\xff\xff\xff\xff\x0f")
    eventually(lambda: metric(shared_daemon, "crest_span_datagrams_rejected_total", reason="malformed")
               == malformed + 2)
    assert metric(shared_daemon, "crest_span_datagrams_rejected_total", reason="unknown_message") == unknown + 1
    assert metric(shared_daemon, names["missing"]) == before["missing"] + 3 * 2
    assert metric(shared_daemon, names["late"]) == before["late"] + 3
    # The 40 of the late batch are older than the 50 before it.
    assert metric(shared_daemon, "crest_jaeger_client_spans_dropped_total", cause="full_queue") == dropped + 3 * 60
    # Nobody was told when the spans were stored.
    for index in range(3):
        eventually(lambda: len(shared_daemon.json(f"/api/traces/{0x600 + index:x}")["data"][0]["spans"]) == 5)
    ledger = eventually(lambda: (lambda found: found if found["balanced"] else None)(shared_daemon.ledger()))
    assert ledger["spans"]["inFlight"] == 0
