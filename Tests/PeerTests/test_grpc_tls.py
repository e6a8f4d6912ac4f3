"""gRPC inside TLS: OpenTelemetry's exporter and grpcio with credentials, client certificates, reloads, ALPN."""
import re
import signal
import socket
import ssl

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from daemon import Daemon, eventually
from test_access import authority, bearer, metric, port, requests, secure, tokens  # noqa: F401

HEALTH = "/grpc.health.v1.Health/Check"
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def credentials(authority, ca="ca", certificate=None):
    chain = [(authority / f"{certificate}{end}").read_bytes() for end in (".key", ".pem")] if certificate else []
    return grpc.ssl_channel_credentials((authority / f"{ca}.pem").read_bytes(), *chain)


def target(daemon):
    return f"localhost:{port(daemon, 'otlp-grpc')}"


def check(daemon, channel_credentials=None):
    """OK, or the code of the failure."""
    open_channel = grpc.secure_channel if channel_credentials else grpc.insecure_channel
    arguments = [channel_credentials] if channel_credentials else []
    with open_channel(target(daemon), *arguments) as channel:
        try:
            assert channel.unary_unary(HEALTH)(b"", timeout=10) == b"\x08\x01"
            return "OK"
        except grpc.RpcError as error:
            return error.code().name


def test_opentelemetry_exports_over_tls(secure, authority):
    options = {
        "endpoint": target(secure), "credentials": credentials(authority),
        "headers": (("authorization", "Bearer crst_ingest"),), "compression": grpc.Compression.Gzip}
    provider = TracerProvider(resource=Resource.create({"service.name": "inside tls"}))
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(**options)))
    tracer = provider.get_tracer("peer.tests")
    for number in range(20):
        with tracer.start_as_current_span("root", attributes={"n": number}):
            pass
    provider.shutdown()
    reader = PeriodicExportingMetricReader(OTLPMetricExporter(**options), export_interval_millis=3_600_000)
    meters = MeterProvider([reader], Resource.create({"service.name": "inside tls"}))
    meters.get_meter("peer.tests").create_counter("orders").add(5)
    assert meters.force_flush()
    meters.shutdown()

    def get(path, token):
        return requests.get(
            f"https://localhost:{port(secure)}{path}", headers=bearer(token), verify=str(authority / "ca.pem"),
            timeout=10)

    found = get("/api/traces?service=inside tls&limit=100", "crst_query").json()["data"]
    assert len(found) == 20
    eventually(lambda: re.search(r"^orders_total\{.*\} 5$", get("/metrics", "crst_scrape").text, re.M))
    assert secure.stop() == 0


def test_tokens_and_strangers(secure, authority):
    with grpc.secure_channel(target(secure), credentials(authority)) as channel:
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(TRACES)(b"", timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert channel.unary_unary(TRACES)(b"", timeout=10, metadata=[("authorization", "Bearer crst_ingest")]) == b""
    assert check(secure, credentials(authority, "ca2")) == "UNAVAILABLE", "another authority than the server's"
    assert check(secure) == "UNAVAILABLE", "in the clear"
    assert check(secure, credentials(authority)) == "OK"
    # What never was HTTP/2 is counted as a handshake, not as a breach of HTTP/2.
    eventually(lambda: metric(secure, authority, 'crest_tls_handshake_failures_total{reason="refused"}') >= 1)
    assert metric(secure, authority, 'crest_grpc_connections_closed_total{kind="malformed"}') == 0
    eventually(lambda: metric(secure, authority, "crest_grpc_connections") == 0)
    assert secure.stop() == 0


def agreed(daemon, authority, listener, offered, maximum=None):
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    context.set_alpn_protocols(offered)
    if maximum:
        context.minimum_version, context.maximum_version = ssl.TLSVersion.MINIMUM_SUPPORTED, maximum
    with socket.create_connection(("127.0.0.1", port(daemon, listener)), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            return connection.selected_alpn_protocol(), connection.version()


def test_alpn_and_versions(secure, authority):
    both = ["h2", "http/1.1"]
    assert agreed(secure, authority, "otlp-grpc", both) == ("h2", "TLSv1.3")
    assert agreed(secure, authority, "http", both) == ("http/1.1", "TLSv1.3")
    assert agreed(secure, authority, "otlp-grpc", both, ssl.TLSVersion.TLSv1_2) == ("h2", "TLSv1.2")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        agreed(secure, authority, "otlp-grpc", both, ssl.TLSVersion.TLSv1_1)


def test_only_clients_with_a_certificate(tmp_path, tokens, authority):
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens}", "--otlp-grpc=0.0.0.0:0",
        f"--tls-cert={authority / 'server.pem'}", f"--tls-key={authority / 'server.key'}",
        f"--tls-client-ca={authority / 'ca.pem'}")
    try:
        assert check(daemon, credentials(authority, certificate="client")) == "OK"
        assert check(daemon, credentials(authority)) == "UNAVAILABLE"
        assert check(daemon, credentials(authority, certificate="stranger")) == "UNAVAILABLE"
    finally:
        assert daemon.stop() == 0


def test_a_new_certificate_counts_for_new_channels(secure, authority, tmp_path):
    with grpc.secure_channel(target(secure), credentials(authority)) as channel:
        assert channel.unary_unary(HEALTH)(b"", timeout=10) == b"\x08\x01"
        for end in (".pem", ".key"):
            (tmp_path / f"server{end}").write_bytes((authority / f"server2{end}").read_bytes())
        secure.process.send_signal(signal.SIGHUP)
        eventually(lambda: check(secure, credentials(authority, "ca2")) == "OK")
        assert channel.unary_unary(HEALTH)(b"", timeout=10) == b"\x08\x01", "the open one goes on"
    assert check(secure, credentials(authority)) == "UNAVAILABLE"
