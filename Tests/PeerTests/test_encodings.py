"""Every protocol over HTTP and gRPC in every encoding that is taken: what was sent is read back field by field."""
import base64
import copy
import gzip
import itertools
import json
import socket
import time
import zlib

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
import zstandard
from google.protobuf.json_format import MessageToDict, ParseDict
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.zipkin.json import ZipkinExporter
from opentelemetry.metrics import Observation
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from py_zipkin import Encoding, Kind
from py_zipkin.zipkin import create_attrs_for_span, zipkin_span

from daemon import eventually
from test_legacy_formats import binary, everything as jaeger_everything, zipkin, zipkin_list
from test_remote_write import field, snappy

ENCODERS = {
    "identity": bytes, "gzip": gzip.compress, "deflate": zlib.compress,  # in zlib's frame, as HTTP has it
    "zstd": lambda body: zstandard.ZstdCompressor().compress(body)}
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
START = 1_790_000_000_000_000  # microseconds
numbers = itertools.count(1)


def post(daemon, path, listener, body, media_type, encoding):
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    return daemon.post(path, listener, data=ENCODERS[encoding](body), headers=headers)


# OTLP as JSON: protobuf's own mapping, but ids in hexadecimal and enums as numbers.

IDS = ("traceId", "spanId", "parentSpanId")


def with_ids(tree, convert):
    if isinstance(tree, list):
        return [with_ids(item, convert) for item in tree]
    if isinstance(tree, dict):
        return {key: convert(item) if key in IDS else with_ids(item, convert) for key, item in tree.items()}
    return tree


def otlp_json(message):
    tree = MessageToDict(message, use_integers_for_enums=True)
    return json.dumps(with_ids(tree, lambda text: base64.b64decode(text).hex())).encode()


OTLP_FORMS = {
    "protobuf": ("application/x-protobuf", lambda message: message.SerializeToString()),
    "json": ("application/json", otlp_json)}


# Traces of OTLP.


def sdk_trace():
    """A trace with everything that OpenTelemetry's SDK can put into spans, as a request."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource.create({
        "service.name": "Käse", "host.cpus": 8, "flag": True, "ratio": 0.5, "list": ["a", "b"]}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("encodings", "1.0", schema_url="https://example.com/s", attributes={"lib": "x"})
    other = trace.SpanContext(0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, True,
                              trace_state=trace.TraceState([("vendor", "1")]))
    with tracer.start_as_current_span("root ☂", kind=SpanKind.SERVER, links=[Link(other, {"why": "retry"})]) as root:
        for kind in (SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL):
            with tracer.start_as_current_span(f"child {kind.name}", kind=kind) as child:
                child.set_attributes({
                    "text": "naïve – ☂ 😀 \"quoted\"\n", "empty": "", "int": -(2**63), "large": 2**53 + 1,
                    "float": 1e-300, "flag": False, "texts": ["a", ""], "ints": [1, -2],
                    "floats": [0.5], "flags": [True, False],
                    "long": "x" * 20_000})
                child.add_event("checked", {"left": 7, "sku": "sku-1"})
                child.add_event("bare")
                if kind == SpanKind.CLIENT:
                    child.set_status(Status(StatusCode.ERROR, "upstream 504"))
        root.set_status(Status(StatusCode.OK))
    return encode_spans(exporter.get_finished_spans())


def in_order(message):
    result = copy.deepcopy(message)
    for resource_spans in result.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            spans = sorted(scope_spans.spans, key=lambda span: span.span_id)
            del scope_spans.spans[:]
            scope_spans.spans.extend(spans)
    return result


def spans_of(message):
    return message.resource_spans[0].scope_spans[0].spans


def check_trace(daemon, message):
    """All of it from our own API, what they can show from Jaeger's and Zipkin's."""
    trace_id = spans_of(message)[0].trace_id.hex()
    reply = daemon.json(f"/api/crest/v1/traces/{trace_id}")
    served = {"resourceSpans": reply["resourceSpans"]}
    tree = with_ids(served, lambda text: base64.b64encode(bytes.fromhex(text)).decode())
    assert in_order(ParseDict(tree, ExportTraceServiceRequest())) == in_order(message)
    jaeger, = daemon.json(f"/api/traces/{trace_id}")["data"]
    shown = {span["spanID"]: span for span in jaeger["spans"]}
    zipkin_spans = {span["id"]: span for span in daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")}
    assert len(shown) == len(zipkin_spans) == len(spans_of(message))
    for span in spans_of(message):
        found = shown[span.span_id.hex()]
        assert found["operationName"] == span.name
        assert found["startTime"] == span.start_time_unix_nano // 1000
        assert found["duration"] == (span.end_time_unix_nano - span.start_time_unix_nano) // 1000
        parents = [item["spanID"] for item in found["references"] if item["refType"] == "CHILD_OF"]
        assert parents == ([span.parent_span_id.hex()] if span.parent_span_id else [])
        assert [item["traceID"] for item in found["references"] if item["refType"] == "FOLLOWS_FROM"] == [
            link.trace_id.hex() for link in span.links]
        tags = {tag["key"]: tag["value"] for tag in found["tags"]}
        for attribute in span.attributes:
            kind = attribute.value.WhichOneof("value")
            if kind in ("string_value", "bool_value", "double_value"):
                assert tags[attribute.key] == getattr(attribute.value, kind)
            elif kind == "int_value":
                assert int(tags[attribute.key]) == attribute.value.int_value
        assert tags["otel.scope.name"] == "encodings" and tags["lib"] == "x"
        assert [(log["timestamp"], log["fields"][0]["value"]) for log in found["logs"]] == [
            (event.time_unix_nano // 1000, event.name) for event in span.events]
        assert ("error" in tags) == (span.status.code == 2)
        process = jaeger["processes"][found["processID"]]
        assert process["serviceName"] == "Käse"
        assert {"key": "host.cpus", "type": "int64", "value": 8} in process["tags"]
        other = zipkin_spans[span.span_id.hex()]
        assert other["name"] == span.name.lower() and other["localEndpoint"]["serviceName"] == "käse"
        assert other["timestamp"] == found["startTime"] and other["duration"] == max(1, found["duration"])
        assert other.get("kind") == {2: "SERVER", 3: "CLIENT", 4: "PRODUCER", 5: "CONSUMER"}.get(span.kind)
        for attribute in span.attributes:
            if attribute.value.WhichOneof("value") in ("string_value", "int_value"):
                text = attribute.value.string_value or str(attribute.value.int_value or "")
                assert other["tags"][attribute.key] == text
        assert [note["value"].split(":")[0].strip('"') for note in other.get("annotations", [])] == [
            event.name for event in span.events]


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("form", OTLP_FORMS)
@pytest.mark.parametrize("listener", ["otlp-http", "http"])
def test_otlp_traces(shared_daemon, listener, form, encoding):
    media_type, encode = OTLP_FORMS[form]
    message = sdk_trace()
    reply = post(shared_daemon, "/v1/traces", listener, encode(message), media_type, encoding)
    assert reply.status_code == 200, reply.text
    assert reply.headers["Content-Type"] == media_type
    assert reply.content == (b"{}" if form == "json" else b"")
    check_trace(shared_daemon, message)


# Metrics of OTLP.


def sdk_metrics(service):
    """Every kind of instrument, as a request; a summary, which the SDK does not make, is added by hand."""
    reader = InMemoryMetricReader()
    provider = MeterProvider(
        [reader], Resource.create({"service.name": service, "service.instance.id": "i1", "cloud.region": "eu"}),
        views=[View(instrument_name="cell.size", aggregation=ExponentialBucketHistogramAggregation())])
    meter = provider.get_meter("encodings", "1.0")
    meter.create_observable_gauge("cell.stock", [lambda _: [Observation(42.5, {"sku": "☂"})]])
    meter.create_counter("cell.orders", unit="{order}").add(7, {"result": "ok"})
    carts = meter.create_up_down_counter("cell.carts")
    carts.add(5)
    carts.add(-2)
    lag = meter.create_histogram("cell.lag", unit="s", explicit_bucket_boundaries_advisory=[0.1, 0.5, 2])
    size = meter.create_histogram("cell.size", unit="By")
    for seconds in (0.05, 0.3, 1, 5):
        lag.record(seconds)
    for count in range(1, 101):
        size.record(count)
    message = encode_metrics(reader.get_metrics_data())
    provider.shutdown()
    metric = message.resource_metrics[0].scope_metrics[0].metrics.add(name="cell.wait", unit="s")
    point = metric.summary.data_points.add(count=4, sum=10.0, time_unix_nano=time.time_ns())
    point.quantile_values.add(quantile=0.5, value=2.5)
    return message


WANTED = {
    'cell_stock{sku="☂"}': 42.5, 'cell_orders_total{result="ok"}': 7, "cell_carts": 3,
    'cell_lag_seconds_bucket{le="0.1"}': 1, 'cell_lag_seconds_bucket{le="0.5"}': 2,
    'cell_lag_seconds_bucket{le="2.0"}': 3, 'cell_lag_seconds_bucket{le="+Inf"}': 4,
    "cell_lag_seconds_sum": 6.35, "cell_lag_seconds_count": 4,
    "cell_size_bytes_count": 100, "cell_size_bytes_sum": 5050,
    'cell_wait_seconds{quantile="0.5"}': 2.5, "cell_wait_seconds_sum": 10, "cell_wait_seconds_count": 4}


def query(daemon, expression):
    return daemon.get("/prometheus/api/v1/query", params={"query": expression}).json()["data"]["result"]


def check_metrics(daemon, service):
    def shown():
        found = {}
        for line in daemon.get("/metrics").text.splitlines():
            if line.startswith("cell_") and f'job="{service}"' in line:
                name, value = line.rsplit(" ", 1)
                name, labels = name.rstrip("}").split("{")
                mine = [item for item in labels.split(",")
                        if item.split("=")[0] not in ("job", "instance", "otel_scope_name", "otel_scope_version")]
                assert 'instance="i1"' in labels and 'otel_scope_name="encodings"' in labels
                found[name + ("{" + ",".join(mine) + "}" if mine else "")] = float(value)
        for name, value in WANTED.items():
            assert found[name] == pytest.approx(value, rel=1e-12), name
        return True
    eventually(shown)
    # And from the recorder, by PromQL.
    for name, value in (("cell_orders_total", 7), ("cell_stock", 42.5), ("cell_lag_seconds_sum", 6.35)):
        series, = eventually(lambda: query(daemon, f'{name}{{job="{service}"}}'))
        assert float(series["value"][1]) == pytest.approx(value), name


@pytest.fixture(scope="module")
def metrics_sent(shared_daemon):
    """All cells at once: a scrape shows points when the metrics log has them."""
    for form, (media_type, encode) in OTLP_FORMS.items():
        for encoding in ENCODERS:
            body = encode(sdk_metrics(f"{form}-{encoding}"))
            reply = post(shared_daemon, "/v1/metrics", "otlp-http", body, media_type, encoding)
            assert reply.status_code == 200 and reply.headers["Content-Type"] == media_type, reply.text
            assert reply.content == (b"{}" if form == "json" else b"")
    for encoding in ENCODERS:
        call(shared_daemon, METRICS, sdk_metrics(f"grpc-{encoding}").SerializeToString(), encoding)


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("form", [*OTLP_FORMS, "grpc"])
def test_otlp_metrics(shared_daemon, metrics_sent, form, encoding):
    check_metrics(shared_daemon, f"{form}-{encoding}")


# gRPC: grpcio knows no zstd, so that one goes by hyper-h2.


def zstd_call(address, path, body):
    """A unary call; gives the trailers."""
    host, port = address.rsplit(":", 1)
    plain = ENCODERS["zstd"](body)
    with socket.create_connection((host, int(port)), timeout=10) as out:
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        connection.initiate_connection()
        stream = connection.get_next_available_stream_id()
        connection.send_headers(stream, [
            (":method", "POST"), (":scheme", "http"), (":authority", address), (":path", path), ("te", "trailers"),
            ("content-type", "application/grpc"), ("grpc-encoding", "zstd")])
        connection.send_data(stream, b"\x01" + len(plain).to_bytes(4, "big") + plain, end_stream=True)
        out.sendall(connection.data_to_send())
        while True:
            for event in connection.receive_data(out.recv(65536)):
                if isinstance(event, h2.events.TrailersReceived):
                    return dict(event.headers)
                assert not isinstance(event, (h2.events.StreamReset, h2.events.ConnectionTerminated)), event
            out.sendall(connection.data_to_send())


def call(daemon, path, body, encoding):
    address = daemon.address["otlp-grpc"]
    if encoding == "zstd":
        assert zstd_call(address, path, body)["grpc-status"] == "0"
        return
    compression = {"identity": grpc.Compression.NoCompression, "gzip": grpc.Compression.Gzip,
                   "deflate": grpc.Compression.Deflate}[encoding]
    with grpc.insecure_channel(address) as channel:
        assert channel.unary_unary(path)(body, timeout=10, compression=compression) == b""


@pytest.mark.parametrize("encoding", ENCODERS)
def test_grpc_traces(shared_daemon, encoding):
    message = sdk_trace()
    call(shared_daemon, TRACES, message.SerializeToString(), encoding)
    check_trace(shared_daemon, message)


# Zipkin: what py-zipkin and OpenTelemetry's exporter write, and thrift by thriftpy2.

ZIPKIN_FORMS = {
    "v2 JSON": (Encoding.V2_JSON, "/api/v2/spans", "application/json"),
    "v2 protobuf": (Encoding.V2_PROTO3, "/api/v2/spans", "application/x-protobuf"),
    "v1 JSON": (Encoding.V1_JSON, "/api/v1/spans", "application/json")}


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("form", ZIPKIN_FORMS)
def test_zipkin(shared_daemon, form, encoding):
    written, path, media_type = ZIPKIN_FORMS[form]
    bodies = []
    attrs = create_attrs_for_span(sample_rate=100.0, use_128bit_trace_id=True)
    with zipkin_span(service_name="Order", span_name="Create", transport_handler=bodies.append, port=8080,
                     zipkin_attrs=attrs, encoding=written, kind=Kind.SERVER) as span:
        span.update_binary_annotations({"sku": "naïve ☂", "error": "no stock"})
        span.add_annotation("reserved")
        with zipkin_span(service_name="Order", span_name="Select", kind=Kind.CLIENT) as child:
            child.add_sa_binary_annotation(port=3306, service_name="MySQL", host="127.0.0.2")
    for body in bodies:
        body = body.encode() if isinstance(body, str) else body
        reply = post(shared_daemon, path, "zipkin", body, media_type, encoding)
        assert (reply.status_code, reply.content) == (202, b""), reply.text
    spans = {item["name"]: item for item in shared_daemon.json(f"/api/v2/trace/{attrs.trace_id}", "zipkin")}
    root, child = spans.pop("create"), spans.pop("select")
    assert not spans and root["traceId"] == child["traceId"] == attrs.trace_id
    assert root["id"] == attrs.span_id == child["parentId"] and "parentId" not in root
    assert (root["kind"], child["kind"]) == ("SERVER", "CLIENT")
    assert root["tags"] == {"sku": "naïve ☂", "error": "no stock"}
    # Version 1 has the ends of the call as annotations, which are times of the span.
    assert [item["value"] for item in root["annotations"]] == ["reserved"]
    assert (root["localEndpoint"]["serviceName"], root["localEndpoint"]["port"]) == ("order", 8080)
    assert child["remoteEndpoint"] == {"serviceName": "mysql", "ipv4": "127.0.0.2", "port": 3306}
    assert root["timestamp"] <= child["timestamp"] and root["duration"] >= child["duration"] > 0
    jaeger, = shared_daemon.json(f"/api/traces/{attrs.trace_id}")["data"]
    found = next(span for span in jaeger["spans"] if span["spanID"] == attrs.span_id)
    assert (found["startTime"], found["duration"]) == (root["timestamp"], root["duration"])
    assert {"key": "sku", "type": "string", "value": "naïve ☂"} in found["tags"]
    own = shared_daemon.json(f"/api/crest/v1/traces/{attrs.trace_id}")
    assert (own["spanCount"], own["errorCount"]) == (2, 1)


@pytest.mark.parametrize("encoding", ENCODERS)
def test_zipkin_v1_thrift(shared_daemon, encoding):
    number = next(numbers)
    host = zipkin.Endpoint(ipv4=0x7f000001, port=80, service_name="front")
    span = zipkin.Span(
        trace_id=0x7c00 + number, trace_id_high=0x7a0, id=0x7b1, name="Get", timestamp=START, duration=40,
        annotations=[zipkin.Annotation(timestamp=START + at, value=value, host=host)
                     for at, value in ((0, "cs"), (5, "wrote"), (40, "cr"))],
        binary_annotations=[zipkin.BinaryAnnotation(key="path", value=b"/api", annotation_type=6, host=host)])
    reply = post(shared_daemon, "/api/v1/spans", "zipkin", zipkin_list([span]), "application/x-thrift", encoding)
    assert (reply.status_code, reply.content) == (202, b""), reply.text
    trace_id = f"{0x7a0:016x}{0x7c00 + number:016x}"
    assert shared_daemon.json(f"/api/v2/trace/{trace_id}", "zipkin") == [{
        "traceId": trace_id, "id": f"{0x7b1:016x}", "kind": "CLIENT", "name": "get", "timestamp": START, "duration": 40,
        "localEndpoint": {"serviceName": "front", "ipv4": "127.0.0.1", "port": 80},
        "annotations": [{"timestamp": START + 5, "value": "wrote"}], "tags": {"path": "/api"}}]


def test_opentelemetrys_zipkin_exporter(shared_daemon):
    exporter = ZipkinExporter(endpoint=shared_daemon.url("/api/v2/spans", "zipkin"), timeout=10)
    provider = TracerProvider(resource=Resource.create({"service.name": "otel-zipkin", "rack": "r7"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with provider.get_tracer("z").start_as_current_span("call", kind=SpanKind.CLIENT, attributes={"n": 7}) as span:
        span.add_event("sent", {"bytes": 3})
        span.set_status(Status(StatusCode.ERROR, "refused"))
    provider.shutdown()
    found, = shared_daemon.json(f"/api/v2/trace/{span.context.trace_id:032x}", "zipkin")
    assert found["kind"] == "CLIENT" and found["name"] == "call"
    assert found["timestamp"] == (span.start_time + 500) // 1000
    assert found["localEndpoint"]["serviceName"] == "otel-zipkin"
    assert found["tags"]["n"] == "7" and found["tags"]["rack"] == "r7" and found["tags"]["error"] == "refused"
    assert found["tags"]["otel.status_code"] == "ERROR" and "sent" in found["annotations"][0]["value"]
    own = shared_daemon.json(f"/api/crest/v1/traces/{span.context.trace_id:032x}")
    assert own["errorCount"] == 1


# Jaeger over HTTP.


@pytest.mark.parametrize("encoding", ENCODERS)
def test_jaeger_thrift_over_http(shared_daemon, encoding):
    number = 0x9000 + next(numbers)
    reply = post(shared_daemon, "/api/traces", "jaeger-http", binary(jaeger_everything(number)),
                 "application/x-thrift", encoding)
    assert (reply.status_code, reply.content) == (202, b""), reply.text
    trace_id = f"{1:016x}{number:016x}"
    found, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
    span, = found["spans"]
    tags = {tag["key"]: (tag["type"], tag["value"]) for tag in span["tags"]}
    assert tags == {
        "text": ("string", "Grüße"), "n": ("int64", -7), "ratio": ("float64", 0.25), "ok": ("bool", False),
        "raw": ("binary", "AP8=")}
    assert span["startTime"] == START and span["duration"] == 1500 and len(span["references"]) == 2
    assert [field["value"] for field in span["logs"][0]["fields"]] == ["retry", 2]
    own = shared_daemon.json(f"/api/crest/v1/traces/{trace_id}")
    assert own["rootService"] == "shop" and own["spanCount"] == 1


# Remote write.

WRITE_ENCODERS = {**ENCODERS, "snappy": snappy, None: snappy}
WRITE_TYPES = {1: "application/x-protobuf", 2: "application/x-protobuf;proto=io.prometheus.write.v2.Request"}


def write_request(version, cell):
    labels, now = {"__name__": "written_total", "cell": cell}, int(time.time() * 1000)
    if version == 1:
        series = b"".join(field(1, field(1, name) + field(2, value)) for name, value in labels.items())
        return field(1, series + field(2, field(1, 5.5) + field(2, now))) + field(
            3, field(1, 1) + field(2, "written_total") + field(4, "Writes."))
    symbols = ["", *itertools.chain(*labels.items()), "Writes."]
    sample = field(1, 5.5) + field(2, now) + field(3, now - 5000)
    series = field(1, bytes(range(1, 5))) + field(2, sample) + field(5, field(1, 1) + field(3, 5))
    return b"".join(field(4, symbol) for symbol in symbols) + field(5, series)


@pytest.fixture(scope="module")
def series_written(shared_daemon):
    for version, media_type in WRITE_TYPES.items():
        for encoding, encode in WRITE_ENCODERS.items():
            headers = {"Content-Type": media_type, **({"Content-Encoding": encoding} if encoding else {})}
            body = encode(write_request(version, f"v{version}-{encoding}"))
            reply = shared_daemon.post("/api/v1/write", data=body, headers=headers)
            assert reply.status_code == 204, (version, encoding, reply.text)
            assert reply.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"


@pytest.mark.parametrize("encoding", WRITE_ENCODERS)
@pytest.mark.parametrize("version", WRITE_TYPES)
def test_remote_write(shared_daemon, series_written, version, encoding):
    line = f'written_total{{cell="v{version}-{encoding}"}}'
    text = eventually(lambda: (lambda text: text if line in text else None)(shared_daemon.get("/metrics").text))
    assert f"{line} 5.5\n" in text
    assert "# TYPE written_total counter" in text and "# HELP written_total Writes." in text
    series, = eventually(lambda: query(shared_daemon, line))
    assert series["value"][1] == "5.5"


# Metric lines over HTTP.


@pytest.mark.parametrize("encoding", ENCODERS)
def test_statsd_lines_over_http(shared_daemon, encoding):
    lines = f"posted:2|c|#cell:{encoding}\nposted:3|c|#cell:{encoding}\nbroken\n".encode()
    reply = post(shared_daemon, "/api/v1/statsd", "http", lines, "text/plain", encoding)
    assert reply.status_code == 202 and reply.json() == {"accepted": 2, "rejected": {"no_colon": 1}}
    eventually(lambda: f'posted_total{{cell="{encoding}"}} 5\n' in shared_daemon.get("/metrics").text)


@pytest.mark.parametrize("encoding, encode", [
    ("zlib", zlib.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("Zstd", ENCODERS["zstd"])])
def test_other_names_of_encodings(shared_daemon, encoding, encode):
    message = sdk_trace()
    reply = shared_daemon.post("/v1/traces", "otlp-http", data=encode(message.SerializeToString()), headers={
        "Content-Type": "application/x-protobuf", "Content-Encoding": encoding})
    assert reply.status_code == 200, reply.text
    check_trace(shared_daemon, message)


# What is no encoding is said so, and damage is no crash.


@pytest.mark.parametrize("path, listener, media_type", [
    ("/v1/traces", "otlp-http", "application/x-protobuf"), ("/v1/metrics", "otlp-http", "application/json"),
    ("/api/v2/spans", "zipkin", "application/json"), ("/api/v1/spans", "zipkin", "application/x-thrift"),
    ("/api/traces", "jaeger-http", "application/x-thrift"), ("/api/v1/write", "http", "application/x-protobuf"),
    ("/api/v1/statsd", "http", "text/plain")])
def test_other_encodings_are_refused(shared_daemon, path, listener, media_type):
    for encoding, status in (("br", 415), ("lz4", 415), ("gzip", 400), ("zstd", 400), ("deflate", 400)):
        reply = shared_daemon.post(path, listener, data=b"\x00damaged", headers={
            "Content-Type": media_type, "Content-Encoding": encoding})
        assert reply.status_code == status, (encoding, reply.text)
    assert shared_daemon.ledger()["balanced"]
