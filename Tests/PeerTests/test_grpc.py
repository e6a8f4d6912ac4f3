"""OTLP over gRPC: OpenTelemetry's own gRPC exporters, and grpcio by hand for what they do not do."""
import os
import random
import socket
import threading
import time

import grpc
import pytest
import requests
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest, ExportTraceServiceResponse)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

import otlp
from daemon import Daemon, eventually

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
HEALTH = "/grpc.health.v1.Health/Check"
COMPRESSIONS = [grpc.Compression.NoCompression, grpc.Compression.Gzip]


@pytest.fixture
def channel(shared_daemon):
    # The generated code would refuse what is too large by itself.
    with grpc.insecure_channel(shared_daemon.address["otlp-grpc"], [("grpc.max_send_message_length", -1)]) as channel:
        yield channel


def failure(channel, path, body, **options):
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(path)(body, timeout=10, **options)
    return raised.value


def rejections(daemon):
    return daemon.ledger()["requests"]["rejected"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_sdk_spans_come_back(shared_daemon, compression):
    exporter = OTLPSpanExporter(
        endpoint=shared_daemon.address["otlp-grpc"], insecure=True, compression=compression)
    provider = TracerProvider(resource=Resource.create({"service.name": f"grpc {compression.name}"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    tracer = provider.get_tracer("peer.tests")
    ids = set()
    for number in range(600):
        with tracer.start_as_current_span("root", attributes={"n": number, "text": "ü" * 50}) as root:
            ids.add(root.context.trace_id)
            with tracer.start_as_current_span("child"):
                pass
    assert provider.force_flush()
    provider.shutdown()
    for trace_id in ids:
        spans = shared_daemon.json(f"/api/traces/{trace_id:032x}")["data"][0]["spans"]
        assert sorted(span["operationName"] for span in spans) == ["child", "root"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_sdk_metrics_arrive(daemon, compression):
    exporter = OTLPMetricExporter(endpoint=daemon.address["otlp-grpc"], insecure=True, compression=compression)
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    provider = MeterProvider([reader], Resource.create({"service.name": "shop"}))
    orders = provider.get_meter("peer-tests").create_counter("orders", unit="{order}")
    for _ in range(3):
        orders.add(2, {"result": "ok"})
        assert provider.force_flush()
    provider.shutdown()
    eventually(lambda: any(
        line.startswith("orders_total{") and line.endswith(" 6") for line in daemon.get("/metrics").text.splitlines()))
    assert daemon.ledger()["balanced"] and daemon.ledger()["points"]["rejected"] == {}


def test_generated_stubs_and_partial_success(shared_daemon, channel):
    message, (trace_id,) = otlp.request(1, 5, seed=103)
    message.resource_spans[0].scope_spans[0].spans[1].trace_id = b"\x00" * 16
    reply, call = TraceServiceStub(channel).Export.with_call(message, timeout=10)
    assert reply.partial_success.rejected_spans == 1 and "spans[1]" in reply.partial_success.error_message
    metadata = dict(call.initial_metadata())
    assert metadata["crest-durability"] == "synced" and int(metadata["crest-seq"]) > 0
    assert len(shared_daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 4
    assert TraceServiceStub(channel).Export(ExportTraceServiceRequest(), timeout=10) == ExportTraceServiceResponse()
    empty = ExportMetricsServiceRequest()
    assert not MetricsServiceStub(channel).Export(empty, timeout=10).HasField("partial_success")


def test_what_is_not_taken_is_said_so(shared_daemon, channel):
    before = rejections(shared_daemon).get("not_found", 0)
    logs = failure(channel, LOGS, b"")
    assert logs.code() == grpc.StatusCode.UNIMPLEMENTED and "logs" in logs.details()
    for path in ("/foo.Bar/Baz", "/grpc.health.v1.Health/Watch", "/v1/traces", "/metrics"):
        unknown = failure(channel, path, b"")
        assert unknown.code() == grpc.StatusCode.UNIMPLEMENTED and path in unknown.details()
    assert rejections(shared_daemon)["not_found"] == before + 5


def test_bad_bytes(shared_daemon, channel):
    before = rejections(shared_daemon).get("malformed", 0)
    bad = failure(channel, TRACES, b"\x0a\xff\xff\xff\xff\x0f")
    assert bad.code() == grpc.StatusCode.INVALID_ARGUMENT and "byte 1" in bad.details()
    assert rejections(shared_daemon)["malformed"] == before + 1
    message, _ = otlp.request(1, seed=104)
    assert channel.unary_unary(TRACES)(message.SerializeToString(), timeout=10) == b""


def test_too_large_is_refused_at_once_and_not_to_be_retried(shared_daemon, channel):
    began = time.monotonic()
    refused = failure(channel, TRACES, bytes(65 << 20))
    assert refused.code() == grpc.StatusCode.RESOURCE_EXHAUSTED and "67108864" in refused.details()
    assert "grpc-status-details-bin" not in dict(refused.trailing_metadata() or ())
    assert time.monotonic() - began < 5
    # A bomb: 65 MiB of zeros in 64 KiB.
    bomb = failure(channel, TRACES, bytes(65 << 20), compression=grpc.Compression.Gzip)
    assert bomb.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert rejections(shared_daemon)["too_large"] >= 2
    message, _ = otlp.request(1, seed=105)
    assert channel.unary_unary(TRACES)(message.SerializeToString(), timeout=10) == b""


def test_deflate_is_taken_too(shared_daemon, channel):
    message, (trace_id,) = otlp.request(1, 3, seed=106)
    channel.unary_unary(TRACES)(message.SerializeToString(), timeout=10, compression=grpc.Compression.Deflate)
    assert len(shared_daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 3


def test_health(shared_daemon, channel):
    check = channel.unary_unary(HEALTH)
    service = b"opentelemetry.proto.collector.trace.v1.TraceService"
    assert check(b"", timeout=10) == b"\x08\x01"
    assert check(b"\x0a" + bytes([len(service)]) + service, timeout=10) == b"\x08\x01"
    assert failure(channel, HEALTH, b"\x0a\x03abc").code() == grpc.StatusCode.NOT_FOUND


def test_many_calls_at_once_on_one_connection(shared_daemon, channel):
    call = channel.unary_unary(TRACES)
    messages = [otlp.request(3, 3, seed=2_000 + number) for number in range(400)]
    futures = [call.future(message.SerializeToString(), timeout=30) for message, _ in messages]
    assert all(future.result() == b"" for future in futures)
    for _, ids in messages[::40]:
        for trace_id in ids:
            assert len(shared_daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 3


@pytest.fixture
def no_room(tmp_path):
    """A small daemon whose whole budget of bodies is taken by a request that never comes; gives a way to end it."""
    daemon = Daemon(tmp_path / "data", "--memory-limit=64MiB")
    host, port = daemon.address["otlp-http"].rsplit(":", 1)
    holder = socket.create_connection((host, int(port)))
    holder.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                   b"Content-Length: %d\r\n\r\n" % (8 << 20))
    eventually(lambda: f"crest_memory_reserved_bytes {32 << 20}" in daemon.get("/metrics").text)
    yield daemon, holder.close
    holder.close()
    assert daemon.stop() == 0


def test_busy_tells_when_to_come_again(no_room):
    daemon, release = no_room
    message, (trace_id,) = otlp.request(1, 3, seed=107)
    with grpc.insecure_channel(daemon.address["otlp-grpc"]) as channel:
        busy = failure(channel, TRACES, message.SerializeToString())
        assert busy.code() == grpc.StatusCode.UNAVAILABLE
        status = Status.FromString(dict(busy.trailing_metadata())["grpc-status-details-bin"])
        assert status.code == grpc.StatusCode.UNAVAILABLE.value[0] and status.message == busy.details()
        retry = RetryInfo()
        assert status.details[0].Unpack(retry) and 1 <= retry.retry_delay.ToTimedelta().total_seconds() <= 2
        assert channel.unary_unary(HEALTH)(b"", timeout=10) == b"\x08\x01"
        assert rejections(daemon)["memory"] == 1
    # The exporter waits as it is told and sends the same again.
    exporter = OTLPSpanExporter(endpoint=daemon.address["otlp-grpc"], insecure=True, timeout=20)
    provider = TracerProvider(resource=Resource.create({"service.name": "patient"}))
    span = provider.get_tracer("t").start_span("waited for")
    span.end()
    results = []
    began = time.monotonic()
    sender = threading.Thread(target=lambda: results.append(exporter.export([span])))
    sender.start()
    eventually(lambda: rejections(daemon)["memory"] >= 2)
    release()
    sender.join(20)
    assert results == [SpanExportResult.SUCCESS]
    assert 0.7 < time.monotonic() - began < 15
    assert len(daemon.json(f"/api/traces/{span.context.trace_id:032x}")["data"][0]["spans"]) == 1
    exporter.shutdown()


class Sender(threading.Thread):
    """Sends distinct requests over one channel until the daemon dies; remembers what was acknowledged."""

    def __init__(self, daemon, seed):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(daemon.address["otlp-grpc"])
        self.seed = seed
        self.acknowledged = []

    def run(self):
        call = self.channel.unary_unary(TRACES)
        try:
            for number in range(100_000):
                message, ids = otlp.request(4, 3, seed=self.seed * 1_000_003 + number)
                call(message.SerializeToString(), timeout=10)
                self.acknowledged += ids
        except grpc.RpcError:
            self.channel.close()


def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path):
    seed = int(os.environ.get("CREST_SEED", "20261125"))
    rng = random.Random(seed)
    daemon = Daemon(tmp_path / "data")
    everything = []
    for cycle in range(3):
        senders = [Sender(daemon, seed + cycle * 3 + number) for number in range(3)]
        for sender in senders:
            sender.start()
        eventually(lambda: all(sender.acknowledged for sender in senders))
        time.sleep(rng.uniform(0.05, 0.4))  # the random moment of the crash
        daemon.kill()
        for sender in senders:
            sender.join()
            everything += sender.acknowledged
        daemon.start()
        assert daemon.ledger()["balanced"] is True, f"seed {seed}, cycle {cycle}"
    with requests.Session() as session:
        for trace_id in everything:
            reply = session.get(daemon.url(f"/api/traces/{trace_id.hex()}"), timeout=10)
            assert reply.status_code == 200 and len(reply.json()["data"][0]["spans"]) == 3, f"seed {seed}"
    assert daemon.stop() == 0


def test_sigterm_lets_calls_finish(daemon):
    """Clients that keep sending see only whole answers or a closed door, and the daemon ends at once."""
    senders = [Sender(daemon, 900 + number) for number in range(2)]
    for sender in senders:
        sender.start()
    eventually(lambda: all(sender.acknowledged for sender in senders))
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 5
    acknowledged = [trace_id for sender in senders for trace_id in sender.acknowledged]
    daemon.start()
    for trace_id in acknowledged:
        assert len(daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 3
