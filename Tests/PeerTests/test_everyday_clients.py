"""OpenTelemetry's SDK as people set it up, and as they set it up when they know it well: nothing is lost or changed
between what was recorded and what is served."""
import json

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GRPCMetricExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import (
    Counter, Histogram, MeterProvider, ObservableCounter, ObservableUpDownCounter, UpDownCounter)
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation, ExponentialBucketHistogramAggregation, View)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState

from daemon import eventually
from test_otlp import own_trace, values
from test_statsd import OPENMETRICS

CUMULATIVE, DELTA = AggregationTemporality.CUMULATIVE, AggregationTemporality.DELTA


# Traces.


def test_thousands_of_spans_by_the_default_processor(shared_daemon):
    """Batches of 512, by a thread of the SDK; every span of every batch is there, in every API."""
    provider = TracerProvider(resource=Resource.create({"service.name": "bulk"}))
    exporter = OTLPSpanExporter(endpoint=shared_daemon.url("/v1/traces", "otlp-http"), compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=20_000))
    tracer = provider.get_tracer("bulk")
    roots = []
    for number in range(1_000):
        with tracer.start_as_current_span("root", attributes={"n": number}) as root:
            roots.append(root.context.trace_id)
            for step in range(4):
                with tracer.start_as_current_span(f"step {step}"):
                    pass
    assert provider.force_flush()
    provider.shutdown()
    for trace_id in roots[::50]:
        assert len(own_trace(shared_daemon, f"{trace_id:032x}")) == 5
        assert len(shared_daemon.json(f"/api/traces/{trace_id:032x}")["data"][0]["spans"]) == 5
    found, token = set(), ""
    while token is not None:
        page = shared_daemon.json(f"/api/crest/v1/search?service=bulk&limit=300{token and '&page=' + token}")
        found |= {item["traceID"] for item in page["traces"]}
        token = page["next"]
    assert found == {f"{trace_id:032x}" for trace_id in roots}


def one_span(daemon, name, record, resource=None, limits=None, **options):
    provider = TracerProvider(
        resource=Resource.create({"service.name": "everyday", **(resource or {})}), span_limits=limits)
    provider.add_span_processor(SimpleSpanProcessor(
        OTLPSpanExporter(endpoint=daemon.url("/v1/traces", "otlp-http"))))
    with provider.get_tracer("e").start_as_current_span(name, **options) as span:
        record(span)
    provider.shutdown()
    trace_id = f"{span.context.trace_id:032x}"
    (resource, scope, found), = own_trace(daemon, trace_id).values()
    return span, trace_id, found, resource


def test_large_and_strange_attributes(shared_daemon):
    """Up to the limit values are whole; beyond it they are cut, and marked so."""
    texts = {
        "60 KiB": "ü" * 30_000, "Unicode ключ 🔑": "значение", "quote\"back\\slash": "\"\\\n\t\x01",
        "dots.and-dashes/slashes": "x", " leading": " spaces ", "emoji": "👩‍👩‍👧‍👦", "rtl": "שלום", "nul": "a\x00b"}

    def record(span):
        span.set_attributes(texts)
        span.set_attribute("many", [f"v{number}" for number in range(1_000)])
        span.set_attribute("json", json.dumps({"a": [1, {"b": None}]}))
    _, trace_id, found, resource = one_span(
        shared_daemon, "strange \"name\" ☂\n", record, resource={"ünï": "cödé", "list": ["a", "b"], "n": 3})
    got = values(found["attributes"])
    assert {key: got[key] for key in texts} == texts
    assert got["many"] == [f"v{number}" for number in range(1_000)]
    assert json.loads(got["json"]) == {"a": [1, {"b": None}]}
    assert found["name"] == "strange \"name\" ☂\n"
    assert resource["ünï"] == "cödé" and resource["list"] == ["a", "b"] and resource["n"] == 3
    jaeger, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
    tags = {tag["key"]: tag["value"] for tag in jaeger["spans"][0]["tags"]}
    assert {key: tags[key] for key in texts} == texts and json.loads(tags["many"]) == got["many"]
    zipkin, = shared_daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")
    assert {key: zipkin["tags"][key] for key in texts} == texts
    # And it is found by what it holds.
    for key, value in (("Unicode ключ 🔑", "значение"), ("emoji", "👩‍👩‍👧‍👦"), ("quote\"back\\slash", "\"\\\n\t\x01")):
        reply = shared_daemon.get("/api/traces", params={"service": "everyday", "tags": json.dumps({key: value})})
        assert [item["traceID"] for item in reply.json()["data"]] == [trace_id], key


def test_more_than_the_sdks_limits(shared_daemon):
    """What the SDK dropped is told as it tells it; with its limits off ours hold, told likewise."""
    def record(span):
        for number in range(150):
            span.set_attribute(f"a{number}", number)
            span.add_event(f"e{number}", {"n": number})
    _, _, found, _ = one_span(shared_daemon, "default", record)
    assert len(found["attributes"]) == 128 and found["droppedAttributesCount"] == 22
    assert len(found["events"]) == 128 and found["droppedEventsCount"] == 22
    none = SpanLimits.UNSET
    unlimited = SpanLimits(max_attributes=none, max_span_attributes=none, max_events=none, max_links=none,
                           max_event_attributes=none, max_link_attributes=none)
    span, trace_id, found, _ = one_span(shared_daemon, "unlimited", record, limits=unlimited)
    for kind, sent in (("attributes", span.attributes), ("events", span.events)):
        dropped = found.get(f"dropped{kind.capitalize()}Count", 0)
        assert len(found[kind]) + dropped == len(sent) and len(found[kind]) >= 128, kind
        if dropped:
            jaeger, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
            assert "dropped" in jaeger["spans"][0]["warnings"][0]


def test_remote_parents_states_links_and_exceptions(shared_daemon):
    state = TraceState([("vendor", "a:1"), ("other", "b")])
    remote = SpanContext(0x5EED0000000000000000000000000001, 0x5EED, True, TraceFlags(1), state)
    linked = [Link(SpanContext(number << 64 | 1, number, False, trace_state=state), {"n": number}) for number in (7, 8)]

    def record(span):
        span.record_exception(ValueError("no such sku ☂"), {"sku": "s1"}, escaped=True)
    span, trace_id, found, _ = one_span(
        shared_daemon, "remote", record, links=linked, kind=SpanKind.CONSUMER,
        context=trace.set_span_in_context(trace.NonRecordingSpan(remote)))
    assert trace_id == "5eed0000000000000000000000000001" and found["parentSpanId"] == f"{0x5eed:016x}"
    assert found["traceState"] == "vendor=a:1,other=b"
    # Bits 8 and 9: whether the parent is remote is known, and it is.
    sent = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0].flags
    assert found["flags"] == sent and sent & 0x300 == 0x300
    # The exporter leaves the state of links out.
    assert [(link["traceId"], link["spanId"], values(link["attributes"])) for link in found["links"]] == [
        (f"{number << 64 | 1:032x}", f"{number:016x}", {"n": number}) for number in (7, 8)]
    event, = found["events"]
    details = values(event["attributes"])
    assert event["name"] == "exception" and details["exception.message"] == "no such sku ☂" and details["sku"] == "s1"
    assert details == dict(span.events[0].attributes)
    jaeger, = shared_daemon.json(f"/api/traces/{trace_id}")["data"]
    item, = jaeger["spans"]
    assert [reference["refType"] for reference in item["references"]] == ["CHILD_OF", "FOLLOWS_FROM", "FOLLOWS_FROM"]
    assert {"key": "w3c.tracestate", "type": "string", "value": "vendor=a:1,other=b"} in item["tags"]


# Metrics.


def lines(daemon, service, **headers):
    """The samples of a service: {name: {labels without job and scope: value}}."""
    found = {}
    for line in daemon.get("/metrics", headers=headers).text.splitlines():
        if f'job="{service}"' in line and not line.startswith("#"):
            name, rest = line.split("{", 1)
            labels, value = rest.split("} ", 1)
            mine = [item for item in labels.split('",')
                    if item.split("=")[0] not in ("job", "instance", "otel_scope_name")]
            found.setdefault(name, {})[",".join(item.rstrip('"') + '"' for item in mine)] = value
    return found


def provider_of(daemon, service, temporality=CUMULATIVE, views=(), exporter=None, **resource):
    exporter = exporter or OTLPMetricExporter(
        endpoint=daemon.url("/v1/metrics", "otlp-http"), compression=Compression.Gzip,
        preferred_temporality={kind: temporality for kind in (
            Counter, Histogram, UpDownCounter, ObservableCounter, ObservableUpDownCounter)})
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], Resource.create({"service.name": service, **resource}), views=list(views))


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_every_instrument_over_several_exports(shared_daemon, temporality):
    service = f"instruments-{temporality.name.lower()}"
    provider = provider_of(shared_daemon, service, temporality)
    meter = provider.get_meter("m")
    sold, open_carts = [0], [0]
    meter.create_observable_counter(
        "seen.orders", [lambda _: [Observation(sold[0] * 10, {"kind": "seen"})]], unit="{order}")
    meter.create_observable_up_down_counter("seen.carts", [lambda _: [Observation(open_carts[0])]])
    meter.create_observable_gauge("seen.temperature", [lambda _: [Observation(-3.5, {"at": "°C"})]], unit="Cel")
    orders = meter.create_counter("some.orders", unit="{order}", description="Orders, \"quoted\" \\ and\nbroken.")
    spent = meter.create_counter("spent", unit="EUR")
    carts = meter.create_up_down_counter("some.carts")
    level = meter.create_gauge("level", unit="1")
    wait = meter.create_histogram("wait", unit="ms")
    for number in range(1, 6):
        sold[0], open_carts[0] = number, 3 - number
        orders.add(number, {"result": "ok", "n": 7, "flag": True, "ratio": 0.5, "list": ["a", "b"]})
        spent.add(0.1)
        carts.add(2)
        carts.add(-5)
        level.set(number / 4)
        wait.record(number * 10)
        assert provider.force_flush()

    def right():
        found = lines(shared_daemon, service)
        assert found["some_orders_total"] == {
            'flag="true",list="[\\"a\\",\\"b\\"]",n="7",ratio="0.5",result="ok"': "15"}
        assert float(found["spent_EUR_total"][""]) == pytest.approx(0.5)
        assert found["seen_orders_total"] == {'kind="seen"': "50"}
        assert found["some_carts"] == {"": "-15"} and found["seen_carts"] == {"": "-2"}
        assert found["seen_temperature_celsius"] == {'at="°C"': "-3.5"}
        assert found["level_ratio"] == {"": "1.25"}
        assert found["wait_milliseconds_count"] == {"": "5"} and found["wait_milliseconds_sum"] == {"": "150"}
        assert found["wait_milliseconds_bucket"]['le="25.0"'] == "2"
        return True
    eventually(right)
    provider.shutdown()
    assert '# HELP some_orders_total Orders, "quoted" \\\\ and\\nbroken.' in shared_daemon.get("/metrics").text
    assert shared_daemon.ledger()["points"]["rejected"] == {}


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_scopes_are_told_apart(shared_daemon, temporality):
    """Two libraries, or one with other attributes, count the same name: neither takes the other's place."""
    service = f"scopes-{temporality.name.lower()}"
    provider = provider_of(shared_daemon, service, temporality)
    scopes = [("1", None), ("2", None), ("1", {"shard": "a"}), ("1", {"shard": "b", "name": "x"})]
    counters = [provider.get_meter("lib", version, attributes=attributes).create_counter("same")
                for version, attributes in scopes]
    for number in range(1, 4):
        for place, counter in enumerate(counters):
            counter.add(10 ** place)
        assert provider.force_flush()

    def right():
        assert lines(shared_daemon, service)["same_total"] == {
            'otel_scope_version="1"': "3", 'otel_scope_version="2"': "30",
            'otel_scope_shard="a",otel_scope_version="1"': "300", 'otel_scope_shard="b",otel_scope_version="1"': "3000"}
        return True
    eventually(right)
    provider.shutdown()


@pytest.mark.parametrize("transport", ["http", "grpc"])
def test_exemplars_lead_to_their_traces(shared_daemon, transport):
    service = f"exemplars-{transport}"
    exporter = None
    if transport == "grpc":
        exporter = GRPCMetricExporter(endpoint=shared_daemon.address["otlp-grpc"], insecure=True)
    provider = provider_of(shared_daemon, service, exporter=exporter)
    tracers = TracerProvider(resource=Resource.create({"service.name": service}))
    tracers.add_span_processor(SimpleSpanProcessor(
        OTLPSpanExporter(endpoint=shared_daemon.url("/v1/traces", "otlp-http"))))
    meter = provider.get_meter("m")
    paid, lag = meter.create_counter("paid"), meter.create_histogram(
        "pay.lag", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0])
    spans = []
    for seconds in (0.05, 0.5, 5):
        with tracers.get_tracer("t").start_as_current_span("pay") as span:
            spans.append(f"{span.context.trace_id:032x}")
            lag.record(seconds)
            paid.add(1)
    assert provider.force_flush()

    def right():
        found = lines(shared_daemon, service, **OPENMETRICS)
        buckets = found["pay_lag_seconds_bucket"]
        for le, trace_id, value in zip(("0.1", "1.0", "+Inf"), spans, ("0.05", "0.5", "5")):
            sample, exemplar = buckets[f'le="{le}"'].split(" # ")
            assert f'trace_id="{trace_id}"' in exemplar and 'span_id="' in exemplar
            assert float(exemplar.split("} ")[1].split()[0]) == float(value)
        # Of a counter the SDK keeps one of them.
        assert any(f'trace_id="{trace_id}"' in found["paid_total"][""] for trace_id in spans)
        return True
    eventually(right)
    provider.shutdown()
    for trace_id in spans:
        assert shared_daemon.get(f"/api/traces/{trace_id}").status_code == 200


@pytest.mark.parametrize("temporality", [CUMULATIVE, DELTA])
def test_histograms_of_every_kind(shared_daemon, temporality):
    """Own bounds, none at all, and exponential ones over thirty decades with zeros: counts and sums are exact."""
    service = f"histograms-{temporality.name.lower()}"
    provider = provider_of(shared_daemon, service, temporality, views=[
        View(instrument_name="own", aggregation=ExplicitBucketHistogramAggregation([-5, 0, 0.25, 7.5])),
        View(instrument_name="bare", aggregation=ExplicitBucketHistogramAggregation([])),
        View(instrument_name="wide", aggregation=ExponentialBucketHistogramAggregation(max_size=160)),
        View(instrument_name="narrow", aggregation=ExponentialBucketHistogramAggregation(max_size=4, max_scale=3))])
    meter = provider.get_meter("m")
    own, bare, wide, narrow = (meter.create_histogram(name) for name in ("own", "bare", "wide", "narrow"))
    for number in range(3):
        for value in (0, 0.25, 0.3, 7.5, 8):
            own.record(value)
            bare.record(value)
        for exponent in range(-15, 16):
            wide.record(10.0 ** exponent)
        wide.record(0)
        for value in (1, 1.1, 2, 1_000):
            narrow.record(value)
        assert provider.force_flush()

    def right():
        found = lines(shared_daemon, service)
        bounds = ("-5.0", "0.0", "0.25", "7.5", "+Inf")
        assert [found["own_bucket"][f'le="{bound}"'] for bound in bounds] == ["0", "3", "6", "12", "15"]
        decades = sum(10.0 ** exponent for exponent in range(-15, 16))
        for name, count, total in (
                ("own", 15, 48.15), ("bare", 15, 48.15), ("wide", 96, 3 * decades), ("narrow", 12, 3 * 1004.1)):
            assert found[f"{name}_count"] == {"": str(count)}
            assert float(found[f"{name}_sum"][""]) == pytest.approx(total)
            assert found[f"{name}_bucket"]['le="+Inf"'] == str(count)
            counts = [int(value) for value in found[f"{name}_bucket"].values()]
            assert counts == sorted(counts)
        return True
    eventually(right)
    provider.shutdown()
    assert shared_daemon.ledger()["points"]["rejected"] == {}


def test_resources_are_told_apart(shared_daemon):
    """Instances by their id; what else is known of a resource stands on `target_info`."""
    providers = [provider_of(shared_daemon, "fleet", **{
        "service.namespace": "shop", "service.instance.id": f"i{number}", "host.name": f"h{number}",
        "cloud.region": "eu ☂", "k8s.pod.labels": "a=b"}) for number in range(3)]
    for number, provider in enumerate(providers):
        provider.get_meter("m").create_counter("served").add(number + 1)
        assert provider.force_flush()

    def right():
        text = shared_daemon.get("/metrics").text
        for number in range(3):
            served = f'served_total{{instance="i{number}",job="shop/fleet",otel_scope_name="m"}} {number + 1}\n'
            assert served in text
            info = [line for line in text.splitlines() if line.startswith("target_info{")
                    and f'instance="i{number}",job="shop/fleet"' in line]
            assert len(info) == 1 and f'host_name="h{number}"' in info[0] and 'cloud_region="eu ☂"' in info[0]
            assert 'telemetry_sdk_language="python"' in info[0] and info[0].endswith(" 1")
        return True
    eventually(right)
    for provider in providers:
        provider.shutdown()


def test_processes_without_an_instance_add_up(shared_daemon):
    """Two processes under one name, as is usual: their counters are one series, and it holds both."""
    providers = [provider_of(shared_daemon, "anonymous") for _ in range(2)]
    counters = [provider.get_meter("m").create_counter("hits") for provider in providers]
    for round_number in range(3):
        for place, counter in enumerate(counters):
            counter.add(1 + 9 * place)
            assert providers[place].force_flush()
    eventually(lambda: lines(shared_daemon, "anonymous").get("hits_total") == {"": "33"})
    for provider in providers:
        provider.shutdown()
