"""Ids of 64 and 128 bits, spans that share an id or come in parts, clocks that disagree, ends before starts: by
py-zipkin, jaeger-client and OpenTelemetry's SDK, as every read API shows them."""
import base64
import json
import socket

import pytest
import requests
from jaeger_client import Config
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags, set_span_in_context
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import ZipkinAttrs, create_attrs_for_span, zipkin_span

from daemon import crest, eventually
from test_legacy_formats import batch, datagram, span as jaeger_span, tag
from test_statsd import OPENMETRICS

BASE = 1_790_000_100_000_000  # microseconds


def transport(daemon):
    def send(encoded):
        reply = requests.post(daemon.url("/api/v2/spans", "zipkin"), data=encoded, timeout=10, headers={
            "Content-Type": "application/json"})
        assert reply.status_code == 202
    return send


def forms(trace_id):
    """Ways to write an id of 16 or 32 digits."""
    short = trace_id.lstrip("0")
    return {trace_id, short, short.upper(), trace_id.rjust(32, "0"), short.rjust(16, "0")}


def check_every_form(daemon, trace_id, shown):
    for form in forms(trace_id):
        assert daemon.json(f"/api/traces/{form}")["data"][0]["traceID"] == shown, form
        assert {item["traceId"] for item in daemon.json(f"/api/v2/trace/{form}", "zipkin")} == {shown}, form
        assert daemon.json(f"/api/crest/v1/traces/{form}")["traceID"] == shown.rjust(32, "0"), form
        found = daemon.json(f"/api/traces?traceID={form}")
        assert [item["traceID"] for item in found["data"]] == [shown] and found["errors"] is None
        many = daemon.json(f"/api/v2/traceMany?traceIds={form},ffff", "zipkin")
        assert [items[0]["traceId"] for items in many] == [shown]
        printed = crest("trace", form, server=daemon.url(""))
        assert printed.returncode == 0 and shown.rjust(32, "0") in printed.stdout, printed.stderr
    for raw in {bytes.fromhex(trace_id.rjust(32, "0")), bytes.fromhex(shown)}:
        for text in (base64.b64encode(raw), base64.urlsafe_b64encode(raw).rstrip(b"=")):
            escaped = requests.utils.quote(text.decode(), safe="")
            assert daemon.json(f"/api/traces/{escaped}")["data"][0]["traceID"] == shown, text


@pytest.mark.parametrize("wide", [False, True])
def test_ids_of_py_zipkin(shared_daemon, wide):
    attrs = create_attrs_for_span(sample_rate=100.0, use_128bit_trace_id=wide)
    assert len(attrs.trace_id) == (32 if wide else 16)
    with zipkin_span(service_name="ids", span_name="one", transport_handler=transport(shared_daemon),
                     zipkin_attrs=attrs, encoding=Encoding.V2_JSON, kind=Kind.SERVER):
        pass
    check_every_form(shared_daemon, attrs.trace_id, attrs.trace_id)


@pytest.mark.parametrize("wide", [False, True])
def test_ids_of_jaeger_client(shared_daemon, wide):
    host, port = shared_daemon.udp("jaeger-udp")
    tracer = Config(config={
        "sampler": {"type": "const", "param": 1}, "reporter_batch_size": 1, "generate_128bit_trace_id": wide,
        "local_agent": {"reporting_host": host, "reporting_port": port}}, service_name="ids").new_tracer()
    with tracer.start_span("one") as span:
        pass
    trace_id = f"{span.trace_id:032x}" if wide else f"{span.trace_id:016x}"
    eventually(lambda: shared_daemon.get(f"/api/traces/{trace_id}").status_code == 200)
    tracer.close()
    check_every_form(shared_daemon, trace_id, trace_id)


def test_a_short_id_of_zipkins_goes_on_in_opentelemetry(shared_daemon):
    """OpenTelemetry pads a 64-bit id from B3 headers with zeros: it is the same trace, and a metric leads there."""
    attrs = create_attrs_for_span(sample_rate=100.0)
    with zipkin_span(service_name="old", span_name="outer", transport_handler=transport(shared_daemon),
                     zipkin_attrs=attrs, encoding=Encoding.V2_JSON, kind=Kind.CLIENT):
        parent = NonRecordingSpan(SpanContext(int(attrs.trace_id, 16), int(attrs.span_id, 16), True, TraceFlags(1)))
        with tracer(shared_daemon, "new", "h1").start_as_current_span(
                "inner", set_span_in_context(parent), SpanKind.SERVER) as inner:
            pass
    assert f"{inner.context.trace_id:032x}" == attrs.trace_id.rjust(32, "0")
    check_every_form(shared_daemon, attrs.trace_id, attrs.trace_id)
    trace, = shared_daemon.json(f"/api/traces/{attrs.trace_id}")["data"]
    assert {span["operationName"] for span in trace["spans"]} == {"outer", "inner"}
    own = shared_daemon.json(f"/api/crest/v1/traces/{attrs.trace_id}")
    assert own["spanCount"] == 2 and {service["name"] for service in own["services"]} == {"old", "new"}

    def exemplar():
        text = shared_daemon.get("/metrics", headers=OPENMETRICS).text
        return [line for line in text.splitlines() if line.startswith("traces_spanmetrics_latency_bucket")
                and 'service="new"' in line and f'trace_id="{attrs.trace_id.rjust(32, "0")}"' in line]
    eventually(exemplar)
    # Pinned and deleted by whatever form.
    short = attrs.trace_id.lstrip("0")
    pin = shared_daemon.url(f"/api/crest/v1/traces/{short.upper()}/pin")
    assert requests.post(pin, timeout=10).status_code in (200, 201, 204)
    pins = shared_daemon.json("/api/crest/v1/pins")
    assert attrs.trace_id.rjust(32, "0") in json.dumps(pins)
    assert requests.delete(pin, timeout=10).status_code in (200, 204)
    reply = requests.delete(shared_daemon.url(f"/api/crest/v1/traces/{attrs.trace_id.rjust(32, '0')}"), timeout=10)
    assert reply.status_code in (200, 202, 204)
    for form in forms(attrs.trace_id):
        assert shared_daemon.get(f"/api/traces/{form}").status_code == 404


def test_the_same_low_half_is_another_trace(shared_daemon):
    """As with Zipkin's STRICT_TRACE_ID=true."""
    for trace_id in ("00000000005ca1ed", "0af7651916cd43dd00000000005ca1ed"):
        reply = shared_daemon.post("/api/v2/spans", "zipkin", json=[{
            "traceId": trace_id, "id": "1", "name": "n", "timestamp": BASE, "duration": 1,
            "localEndpoint": {"serviceName": "low"}}])
        assert reply.status_code == 202
    for trace_id in ("5ca1ed", "0af7651916cd43dd00000000005ca1ed"):
        assert len(shared_daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")) == 1
    reply = shared_daemon.get("/api/v2/traceMany?traceIds=5ca1ed,00000000005CA1ED", "zipkin")
    assert reply.status_code == 400 and "redundant traceId" in reply.text
    for wrong in ("0", "0" * 32, "1" * 33, "xyz", "AAAAAAAAAAAAAAAAAAAAAA=="):
        for path in ("/api/traces/", "/api/v2/trace/", "/api/crest/v1/traces/"):
            assert shared_daemon.get(path + wrong).status_code == 400, (path, wrong)


def test_both_sides_of_a_call_under_one_id(shared_daemon):
    """py-zipkin in two services, the server with the client's ids, as B3 headers bring them."""
    root = create_attrs_for_span(sample_rate=100.0)
    call = ZipkinAttrs(root.trace_id, f"{0xca11:016x}", root.span_id, "0", True)
    send = transport(shared_daemon)
    with zipkin_span(service_name="front", span_name="buy", transport_handler=send, zipkin_attrs=root, port=80,
                     encoding=Encoding.V2_JSON, kind=Kind.SERVER):
        with zipkin_span(service_name="front", span_name="call", transport_handler=send, zipkin_attrs=call,
                         encoding=Encoding.V2_JSON, kind=Kind.CLIENT, report_root_timestamp=True):
            with zipkin_span(service_name="back", span_name="call", transport_handler=send, zipkin_attrs=call, port=81,
                             encoding=Encoding.V2_JSON, kind=Kind.SERVER) as server:
                with zipkin_span(service_name="back", span_name="select", kind=Kind.CLIENT) as below:
                    below.add_sa_binary_annotation(port=3306, service_name="base", host="127.0.0.2")
                assert server.zipkin_attrs.span_id == call.span_id
    found = shared_daemon.json(f"/api/v2/trace/{root.trace_id}", "zipkin")
    halves = {item["kind"]: item for item in found if item["id"] == call.span_id}
    assert len(found) == 4 and set(halves) == {"CLIENT", "SERVER"}
    assert halves["SERVER"]["shared"] is True and "shared" not in halves["CLIENT"]
    assert {half["parentId"] for half in halves.values()} == {root.span_id}
    # Jaeger's readers need ids that are unique: the server has one of its own, under the client's.
    jaeger, = shared_daemon.json(f"/api/traces/{root.trace_id}")["data"]
    shown = {(jaeger["processes"][item["processID"]]["serviceName"], item["operationName"]): item
             for item in jaeger["spans"]}
    parent = lambda item: [reference["spanID"] for reference in item["references"]]
    assert len({item["spanID"] for item in jaeger["spans"]}) == 4
    assert shown["front", "call"]["spanID"] == call.span_id and parent(shown["front", "call"]) == [root.span_id]
    assert parent(shown["back", "call"]) == [call.span_id]
    assert parent(shown["back", "select"]) == [shown["back", "call"]["spanID"]]
    again, = shared_daemon.json(f"/api/traces/{root.trace_id}")["data"]
    assert again == jaeger
    raw, = shared_daemon.json(f"/api/traces/{root.trace_id}?raw=true")["data"]
    assert sorted(item["spanID"] for item in raw["spans"]).count(call.span_id) == 2
    end = max(item["timestamp"] for item in found) // 1000 + 1_000
    links = shared_daemon.json(f"/api/v2/dependencies?endTs={end}&lookback=60000", "zipkin")
    assert {"parent": "front", "child": "back", "callCount": 1} in links
    assert {"parent": "back", "child": "base", "callCount": 1} in links
    printed = crest("trace", root.trace_id, server=shared_daemon.url("")).stdout
    depth = {name: next(line for line in printed.splitlines() if name in line).index(name)
             for name in ("front buy", "front call", "back call", "back select")}
    assert sorted(depth, key=depth.get) == ["front buy", "front call", "back call", "back select"]
    assert len(set(depth.values())) == 4


def test_a_span_in_parts(shared_daemon):
    common = {"traceId": "9a275", "id": "9a275"}
    server = {"serviceName": "parted", "ipv4": "10.0.0.1"}
    parts = [
        {**common, "kind": "SERVER", "name": "get", "timestamp": BASE, "localEndpoint": server, "tags": {"a": "1"}},
        {**common, "localEndpoint": {**server, "port": 80}, "annotations": [{"timestamp": BASE + 7, "value": "read"}]},
        {**common, "parentId": "9a274", "duration": 50, "localEndpoint": {"serviceName": "parted"},
         "tags": {"b": "2", "error": ""}},
        {**common, "kind": "CLIENT", "name": "get", "timestamp": BASE - 5, "duration": 70,
         "localEndpoint": {"serviceName": "caller"}}]
    for part in parts:
        assert shared_daemon.post("/api/v2/spans", "zipkin", json=[part]).status_code == 202
    trace_id, span_id = f"{0x9a275:016x}", f"{0x9a275:016x}"
    found = sorted(shared_daemon.json("/api/v2/trace/9a275", "zipkin"), key=lambda item: item["kind"])
    assert found == [
        {"traceId": trace_id, "id": span_id, "kind": "CLIENT", "name": "get", "timestamp": BASE - 5, "duration": 70,
         "localEndpoint": {"serviceName": "caller"}},
        {"traceId": trace_id, "id": span_id, "parentId": f"{0x9a274:016x}", "kind": "SERVER", "name": "get",
         "timestamp": BASE, "duration": 50, "localEndpoint": {**server, "port": 80},
         "annotations": [{"timestamp": BASE + 7, "value": "read"}], "tags": {"a": "1", "b": "2", "error": ""},
         "shared": True}]
    end = BASE // 1000 + 1_000
    links = shared_daemon.json(f"/api/v2/dependencies?endTs={end}&lookback=2000", "zipkin")
    assert [link for link in links if link["child"] == "parted"] == [
        {"parent": "caller", "child": "parted", "callCount": 1, "errorCount": 1}]
    # Nothing that was stored has changed.
    assert shared_daemon.json("/api/crest/v1/traces/9a275")["spanCount"] == 4


def tracer(daemon, service, host):
    provider = TracerProvider(resource=Resource.create({"service.name": service, "host.name": host}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint=daemon.url("/v1/traces", "otlp-http"))))
    return provider.get_tracer("clocks")


def test_clocks_that_disagree(shared_daemon):
    """The callee's clock is five seconds ahead, that of its base is right; all times stay as they were sent."""
    base, milli = BASE * 1000, 1_000_000
    front, back = tracer(shared_daemon, "front", "h1"), tracer(shared_daemon, "back", "h2")
    data = tracer(shared_daemon, "base", "h3")
    root = front.start_span("buy", start_time=base, kind=SpanKind.SERVER)
    call = front.start_span("call", set_span_in_context(root), SpanKind.CLIENT, start_time=base + 10 * milli)
    ahead = base + 5_000 * milli
    serve = back.start_span("call", set_span_in_context(call), SpanKind.SERVER, start_time=ahead + 20 * milli)
    inner = back.start_span("work", set_span_in_context(serve), start_time=ahead + 25 * milli)
    query = data.start_span("select", set_span_in_context(inner), SpanKind.SERVER, start_time=base + 30 * milli)
    query.end(base + 40 * milli)
    inner.end(ahead + 60 * milli)
    serve.end(ahead + 70 * milli)
    call.end(base + 90 * milli)
    root.end(base + 100 * milli)
    trace_id = f"{root.context.trace_id:032x}"
    jaeger, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
    shown = {item["spanID"]: item for item in jaeger["spans"]}
    delta = "clock skew adjustment disabled; not applying calculated delta of -4.995s"
    for span in (root, call, serve, inner, query):
        item = shown[f"{span.context.span_id:016x}"]
        assert item["startTime"] == span.start_time // 1000
        assert item["duration"] == (span.end_time - span.start_time) // 1000
        assert item["warnings"] == ([delta] if span in (serve, inner) else None), span.name
    raw, = shared_daemon.json(f"/api/traces/{trace_id}?raw=true")["data"]
    assert all(item["warnings"] is None for item in raw["spans"])
    searched = shared_daemon.json(f"/api/traces?service=back&start={BASE}&end={BASE + 10_000_000}")["data"]
    assert [item for item in searched if item["traceID"] == trace_id] == [jaeger]
    own = shared_daemon.json(f"/api/crest/v1/traces/{trace_id}")
    assert own["clockOffsets"] == [{"service": "back", "host": "h2", "parentService": "front", "parentHost": "h1",
                                    "aheadNanos": 4_995 * milli, "spanCount": 1}]
    printed = crest("trace", trace_id, server=shared_daemon.url("")).stdout
    assert "clocks: back on h2 is 5s ahead of front on h1" in printed
    zipkin = {item["id"]: item for item in shared_daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")}
    assert zipkin[f"{serve.context.span_id:016x}"]["timestamp"] == serve.start_time // 1000


def test_clocks_of_jaeger_clients(shared_daemon):
    """Their process tags name the host: `ip`, `hostname`."""
    trace = 0xc10c
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number, parent, start, host in ((1, 0, 10_000, "a"), (2, 1, 0, "b"), (3, 1, 5_000, "a")):
            item = jaeger_span(trace, number, parentSpanId=parent, startTime=BASE + start,
                               duration=100_000 if number == 1 else 50_000)
            sender.sendto(datagram(batch([item], tag("hostname", host))), shared_daemon.udp("jaeger-udp"))
    found = eventually(lambda: (lambda spans: spans if len(spans) == 3 else None)(
        shared_daemon.json("/api/traces/c10c")["data"][0]["spans"]))
    warnings = {item["spanID"][-1]: item["warnings"] for item in found}
    assert warnings == {
        "1": None, "3": None,
        "2": ["clock skew adjustment disabled; not applying calculated delta of 35ms"]}


def test_ends_before_starts(shared_daemon):
    base = (BASE + 1_000_000) * 1000
    tracers = tracer(shared_daemon, "negative", "h1")
    span = tracers.start_span("back in time", start_time=base, kind=SpanKind.SERVER)
    span.end(base - 5_000_000)
    trace_id = f"{span.context.trace_id:032x}"
    jaeger, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
    item, = jaeger["spans"]
    assert (item["startTime"], item["duration"]) == (base // 1000, 0)
    assert item["warnings"] == ["the end lies before the start"]
    own = shared_daemon.json(f"/api/crest/v1/traces/{trace_id}")
    stored, = own["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert (stored["startTimeUnixNano"], stored["endTimeUnixNano"]) == (str(base), str(base - 5_000_000))
    assert own["durationNanos"] == 0
    zipkin, = shared_daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")
    assert zipkin["timestamp"] == base // 1000 and "duration" not in zipkin
    # A negative duration of Jaeger's is the same; Zipkin's is none, a negative time too.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(datagram(batch([jaeger_span(0x9e6a, 1, startTime=base // 1000, duration=-7)])),
                      shared_daemon.udp("jaeger-udp"))
    eventually(lambda: shared_daemon.get("/api/traces/9e6a").status_code == 200)
    item, = shared_daemon.json("/api/traces/9e6a")["data"][0]["spans"]
    assert item["duration"] == 0 and item["warnings"] == ["the end lies before the start"]
    stored, = shared_daemon.json("/api/crest/v1/traces/9e6a")["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert int(stored["endTimeUnixNano"]) == base - 7_000
    reply = shared_daemon.post("/api/v2/spans", "zipkin", json=[
        {"traceId": "9e6b", "id": "1", "timestamp": base // 1000, "duration": -7},
        {"traceId": "9e6c", "id": "1", "timestamp": -3, "duration": 5}])
    assert reply.status_code == 202
    zipkin, = shared_daemon.json("/api/v2/trace/9e6b", "zipkin")
    assert zipkin["timestamp"] == base // 1000 and "duration" not in zipkin
    zipkin, = shared_daemon.json("/api/v2/trace/9e6c", "zipkin")
    assert "timestamp" not in zipkin and zipkin["duration"] == 5
    item, = shared_daemon.json("/api/traces/9e6c")["data"][0]["spans"]
    assert item["warnings"] == ["no start time was sent; shown is the time of arrival"] and item["duration"] == 5
    # The metrics of spans count it with a duration of zero.
    def counted():
        lines = [line for line in shared_daemon.get("/metrics").text.splitlines()
                 if line.startswith("traces_spanmetrics_latency_sum") and 'service="negative"' in line]
        return lines and lines[0].rsplit(" ", 1)[1] == "0"
    eventually(counted)
