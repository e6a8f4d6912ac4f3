"""Rate, errors and durations made of an OpenTelemetry SDK's spans, and exemplars that open the trace they name."""
import re
import socket
import subprocess
import time

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from daemon import Daemon, eventually
from test_prometheus import Prometheus, free_port

OPENMETRICS = {"accept": "application/openmetrics-text"}
EXEMPLAR = re.compile(r'^(\S+_bucket\{.*?\}) (\S+) # \{trace_id="([0-9a-f]{32})"(?:,span_id="([0-9a-f]{16})")?\} (\S+)')


def exemplars(daemon, family):
    """{series: (trace id, span id, value)} of a family's buckets."""
    text = daemon.get("/metrics", headers=OPENMETRICS).text
    found = (EXEMPLAR.match(line) for line in text.splitlines() if line.startswith(family))
    return {match[1]: (match[3], match[4], float(match[5])) for match in found if match}


def tracer(daemon, service):
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(daemon.url("/v1/traces", "otlp-http"))))
    return provider


def serve(provider, milliseconds, status):
    """A request of that duration; its trace id."""
    start = time.time_ns() - milliseconds * 1_000_000
    span = provider.get_tracer("t").start_span("GET /buy", kind=SpanKind.SERVER, start_time=start)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    span.end(start + milliseconds * 1_000_000)
    return f"{span.get_span_context().trace_id:032x}"


def test_red_of_sdk_spans_and_exemplars_of_timers(tmp_path):
    daemon = Daemon(tmp_path / "data", f"--http=127.0.0.1:{free_port()}")
    prometheus = Prometheus(tmp_path, daemon.address["http"])
    provider = tracer(daemon, "web")
    try:
        good = [serve(provider, 40, 200) for _ in range(5)]
        bad = [serve(provider, 700, 500) for _ in range(2)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            lines = ["http.latency:41|ms|#service:web,uri:/buy,method:GET,status:200"] * 5
            lines += ["http.latency:705|ms|#service:web,uri:/buy,method:GET,status:500"] * 2
            out.sendto("\n".join(lines).encode(), daemon.udp())
        calls = 'traces_spanmetrics_calls_total{span_name="GET /buy",status_code="STATUS_CODE_%s"}'
        eventually(lambda: prometheus.value(calls % "UNSET") == 5 and prometheus.value(calls % "ERROR") == 2)
        # As Grafana asks for it.
        quantile = prometheus.value(
            'histogram_quantile(.9, sum(traces_spanmetrics_latency_bucket{span_name="GET /buy"}) by (le))')
        assert 0.512 <= quantile <= 1.024
        found = exemplars(daemon, "traces_spanmetrics_latency")
        assert {trace for trace, _, _ in found.values()} == {good[-1], bad[-1]}
        # A timer's series is known only now: the next spans are its exemplars.
        good.append(serve(provider, 42, 200))
        bad.append(serve(provider, 710, 500))
        timers = eventually(lambda: len(now := exemplars(daemon, "http_latency_seconds")) == 2 and now)
        by_status = {re.search('status="(...)"', series)[1]: entry for series, entry in timers.items()}
        assert by_status["200"][0] == good[-1] and by_status["500"][0] == bad[-1]
        for trace, span, value in timers.values():
            reply = daemon.json(f"/api/crest/v1/traces/{trace}")
            spans = [s for r in reply["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]]
            assert spans[0]["spanId"] == span
            duration = (int(spans[0]["endTimeUnixNano"]) - int(spans[0]["startTimeUnixNano"])) / 1e9
            assert abs(duration - value) < 1e-6
        # What was counted is there after a crash, and goes on.
        daemon.kill()
        daemon.start()
        assert daemon.ledger()["lines"]["lostAtCrash"] == 0
        again = tracer(daemon, "web")
        serve(again, 40, 200)
        eventually(lambda: prometheus.value(calls % "UNSET") == 7)
        assert prometheus.value("resets(traces_spanmetrics_calls_total[5m])") == 0
        again.shutdown()
    finally:
        provider.shutdown()
        prometheus.stop()
        daemon.stop()


def test_off_and_limit(tmp_path):
    daemon = Daemon(tmp_path / "data", "--span-metrics=3")
    provider = tracer(daemon, "web")
    for number in range(6):
        provider.get_tracer("t").start_span(f"op {number}").end()
    text = eventually(
        lambda: 'crest_span_metrics_spans_total 6\n' in (now := daemon.get("/metrics").text)
        and 'calls_total{crest_overflow="true",service="web"} 3' in now and now)
    assert len([line for line in text.splitlines() if line.startswith("traces_spanmetrics_calls_total{")]) == 4
    provider.shutdown()
    daemon.stop()
    daemon.flags = ["--span-metrics=off"]
    daemon.start()
    assert "crest_span_metrics" not in daemon.get("/metrics").text
    daemon.stop()
    command = [str(daemon.command()[0]), "--check-config", "--span-metrics", "none"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert result.returncode == 2 and "span-metrics" in result.stderr
