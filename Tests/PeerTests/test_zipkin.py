"""py-zipkin in, and the Zipkin and Jaeger read APIs out."""
import requests
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import create_attrs_for_span, zipkin_span

import otlp


def post(daemon, spans, listener="zipkin"):
    return daemon.post("/api/v2/spans", listener, json=spans)


def test_py_zipkin(shared_daemon):
    def transport(encoded):
        reply = requests.post(shared_daemon.url("/api/v2/spans", "zipkin"), data=encoded, headers={
            "Content-Type": "application/json"})
        assert (reply.status_code, reply.content) == (202, b"")

    attrs = create_attrs_for_span(sample_rate=100.0, use_128bit_trace_id=True)
    with zipkin_span(service_name="Order", span_name="Create", transport_handler=transport, port=8080,
                     zipkin_attrs=attrs, encoding=Encoding.V2_JSON, kind=Kind.SERVER) as span:
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
    assert [item["value"] for item in root["annotations"]] == ["reserved"]
    assert root["localEndpoint"]["serviceName"] == "order" and root["localEndpoint"]["port"] == 8080
    assert child["remoteEndpoint"]["serviceName"] == "mysql" and child["remoteEndpoint"]["port"] == 3306
    assert "order" in shared_daemon.json("/api/v2/services", "zipkin")
    assert shared_daemon.json("/zipkin/api/v2/spans?serviceName=order", "zipkin") == ["create", "select"]
    assert "mysql" in shared_daemon.json("/api/v2/remoteServices?serviceName=order", "zipkin")
    jaeger = shared_daemon.json(f"/api/traces/{attrs.trace_id}")["data"][0]
    assert {item["operationName"] for item in jaeger["spans"]} == {"Create", "Select"} or \
        {item["operationName"] for item in jaeger["spans"]} == {"create", "select"}


def test_round_trip_of_every_field(shared_daemon):
    spans = [
        {"traceId": "00000000000000a1", "id": "00000000000000b1", "kind": "CLIENT", "name": "get",
         "timestamp": 1_700_000_000_000_000, "duration": 1500,
         "localEndpoint": {"serviceName": "front", "ipv4": "10.0.0.1", "port": 1},
         "remoteEndpoint": {"serviceName": "back", "ipv4": "10.0.0.2", "ipv6": "2001:db8::1", "port": 9},
         "annotations": [{"timestamp": 1_700_000_000_000_100, "value": "wire send"}],
         "tags": {"http.method": "GET", "error": "500"}, "debug": True},
        {"traceId": "00000000000000a1", "id": "00000000000000b1", "kind": "SERVER", "name": "get",
         "timestamp": 1_700_000_000_000_200, "duration": 900, "localEndpoint": {"serviceName": "back"},
         "shared": True},
    ]
    assert post(shared_daemon, spans).status_code == 202
    found = shared_daemon.json("/api/v2/trace/a1", "zipkin")
    key = lambda item: item["kind"]
    assert sorted(found, key=key) == sorted(spans, key=key)
    jaeger = shared_daemon.json("/api/traces/a1")["data"][0]
    assert jaeger["traceID"] == "00000000000000a1" and len(jaeger["spans"]) == 2


def test_replies(shared_daemon):
    for body in (b"", b"[]"):
        reply = shared_daemon.post("/api/v2/spans", "zipkin", data=body)
        assert (reply.status_code, reply.content) == (202, b"")
    good = {"traceId": "c1", "id": "c2", "name": "ok", "timestamp": 1_700_000_000_000_000, "duration": 1}
    assert post(shared_daemon, [good, {"traceId": "0", "id": "1"}]).status_code == 202
    assert len(shared_daemon.json("/api/v2/trace/c1", "zipkin")) == 1
    assert post(shared_daemon, [{"traceId": "0", "id": "1"}]).status_code == 400
    assert post(shared_daemon, {"not": "a list"}).status_code == 400
    missing = shared_daemon.get("/api/v2/trace/deadbeef", "zipkin")
    assert missing.status_code == 404 and "not found" in missing.text
    assert shared_daemon.get("/health", "zipkin").json()["status"] == "UP"


def test_search_and_dependencies(shared_daemon):
    now = otlp.BASE_NANOS // 1000
    spans = []
    for number in range(20):
        spans += [
            {"traceId": f"{0xd000 + number:016x}", "id": "1", "name": "buy", "kind": "SERVER",
             "timestamp": now + number * 1000, "duration": 1000 + number,
             "localEndpoint": {"serviceName": "web"}, "tags": {"sku": f"s{number % 4}"}},
            {"traceId": f"{0xd000 + number:016x}", "parentId": "1", "id": "2", "name": "pay", "kind": "CLIENT",
             "timestamp": now + number * 1000 + 10, "duration": 100, "localEndpoint": {"serviceName": "web"},
             "remoteEndpoint": {"serviceName": "bank"}},
        ]
    assert post(shared_daemon, spans).status_code == 202
    window = f"endTs={now // 1000 + 60_000}&lookback=120000"
    traces = shared_daemon.json(f"/api/v2/traces?serviceName=web&spanName=buy&{window}", "zipkin")
    assert len(traces) == 10
    starts = [min(span["timestamp"] for span in trace) for trace in traces]
    assert starts == sorted(starts, reverse=True) and starts[0] == now + 19_000
    tagged = shared_daemon.json(f"/api/v2/traces?annotationQuery=sku%3Ds1&limit=50&{window}", "zipkin")
    assert len(tagged) == 5
    slow = shared_daemon.json(f"/api/v2/traces?serviceName=web&minDuration=1015&limit=50&{window}", "zipkin")
    assert len(slow) == 5
    many = shared_daemon.json("/api/v2/traceMany?traceIds=d000,d001,ffff", "zipkin")
    assert len(many) == 2
    links = shared_daemon.json(f"/api/v2/dependencies?{window}", "zipkin")
    assert {"parent": "web", "child": "bank", "callCount": 20} in links
