"""Refusals under load, as OpenTelemetry's exporters and plain clients meet them: who retries loses nothing."""
import hashlib
import json
import socket
import threading
import time

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GRPCSpanExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HTTPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

import otlp
from daemon import Daemon, crest, eventually

PROTOBUF = {"Content-Type": "application/x-protobuf"}


def exporter(daemon, protocol):
    if protocol == "grpc":
        return GRPCSpanExporter(endpoint=daemon.address["otlp-grpc"], insecure=True, timeout=40)
    return HTTPSpanExporter(endpoint=daemon.url("/v1/traces", "otlp-http"), timeout=40)


def batches(count, spans):
    """Ended spans of the SDK, each the only one of its trace."""
    provider = TracerProvider(resource=Resource.create({"service.name": "patient"}))
    tracer = provider.get_tracer("t")
    made = [[tracer.start_span(f"s{number}") for number in range(spans)] for _ in range(count)]
    for batch in made:
        for span in batch:
            span.end()
    return made


def export_all(daemon, protocol, made, threads):
    """Every thread exports its share; returns the results of all batches."""
    results = []

    def run(share):
        out = exporter(daemon, protocol)
        for batch in share:
            results.append(out.export(batch))
        out.shutdown()

    workers = [threading.Thread(target=run, args=(made[number::threads],)) for number in range(threads)]
    for worker in workers:
        worker.start()
    return workers, results


def stored(daemon, made):
    return all(
        len(daemon.json(f"/api/traces/{span.context.trace_id:032x}")["data"][0]["spans"]) == 1
        for batch in made for span in batch[::29])


def metric(daemon, name):
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    return None


def hold(daemon, length, token=""):
    """A request that takes memory and never comes."""
    host, port = daemon.address["otlp-http"].rsplit(":", 1)
    holder = socket.create_connection((host, int(port)))
    holder.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                   b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (token.encode(), length))
    return holder


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_an_exporter_over_its_rate_waits_and_loses_nothing(tmp_path, protocol):
    daemon = Daemon(tmp_path / "data", "--tenant-spans-per-second=300")
    try:
        made = batches(8, 150)
        workers, results = export_all(daemon, protocol, made, 4)
        for worker in workers:
            worker.join(60)
        assert results == [SpanExportResult.SUCCESS] * 8
        assert stored(daemon, made)
        ledger = daemon.ledger()
        assert ledger["balanced"] and ledger["spans"]["stored"] == 1200
        assert ledger["requests"]["rejected"]["tenant_rate"] >= 1
        (tenant,) = daemon.json("/api/crest/v1/admission")["tenants"]
        assert tenant["tenant"] == "default" and tenant["spans"] == 1200 and tenant["refused"] >= 1
    finally:
        assert daemon.stop() == 0


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_an_exporter_without_room_waits_and_loses_nothing(tmp_path, protocol):
    daemon = Daemon(tmp_path / "data", "--memory-limit=64MiB")
    try:
        holder = hold(daemon, 8 << 20)
        eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 32 << 20)
        assert metric(daemon, "crest_admission_state") == 3 and metric(daemon, "crest_memory_limit_bytes") == 64 << 20
        made = batches(6, 30)
        workers, results = export_all(daemon, protocol, made, 3)
        eventually(lambda: daemon.ledger()["requests"]["rejected"].get("memory", 0) >= 3)
        # Queries and the scrape go on.
        assert daemon.get("/api/services").status_code == 200
        holder.close()
        for worker in workers:
            worker.join(60)
        assert results == [SpanExportResult.SUCCESS] * 6
        assert stored(daemon, made)
        assert daemon.ledger()["balanced"]
        eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 0)
        assert metric(daemon, "crest_admission_state") == 0
    finally:
        assert daemon.stop() == 0


def test_memory_is_taken_before_the_body_and_the_answer_tells_the_load(daemon):
    limits = daemon.json("/api/crest/v1/admission")["memory"]
    assert limits["requestBytes"] >= (limits["limitBytes"] - (96 << 20)) * 0.39
    holders = [hold(daemon, 4 << 20)]
    eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 16 << 20)
    while True:
        holders.append(hold(daemon, 4 << 20))
        holders[-1].settimeout(0.5)
        try:
            answer = holders[-1].recv(4096).decode()
            break
        except TimeoutError:
            assert len(holders) < 100
    assert answer.startswith("HTTP/1.1 503 ")
    headers = dict(line.split(": ", 1) for line in answer.split("\r\n\r\n")[0].split("\r\n")[1:])
    assert 1 <= int(headers["retry-after"]) <= 2 and 86 <= int(headers["crest-load"]) <= 100
    assert daemon.json("/api/crest/v1/admission")["state"] == "red"
    for holder in holders:
        holder.close()
    eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 0)
    message, _ = otlp.request(1, 3, seed=301)
    reply = daemon.post("/v1/traces", "otlp-http", data=message.SerializeToString(), headers=PROTOBUF)
    assert reply.status_code == 200 and int(reply.headers["crest-load"]) < 60


def test_a_bomb_is_inflated_only_as_far_as_memory_was_reserved(tmp_path):
    import gzip
    daemon = Daemon(tmp_path / "data", "--memory-limit=64MiB")
    try:
        bomb = gzip.compress(b"\0" * (7 << 20))
        headers = {**PROTOBUF, "Content-Encoding": "gzip"}
        # Alone it gets all the room, and is no span.
        assert daemon.post("/v1/traces", "otlp-http", data=bomb, headers=headers).status_code == 400
        holder = hold(daemon, 1 << 20)
        eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 4 << 20)
        reply = daemon.post("/v1/traces", "otlp-http", data=bomb, headers=headers)
        assert reply.status_code == 503 and "retry-after" in reply.headers
        holder.close()
        eventually(lambda: metric(daemon, "crest_memory_reserved_bytes") == 0)
    finally:
        assert daemon.stop() == 0


def test_rates_of_bytes_by_tenant_and_address(tmp_path):
    tokens = tmp_path / "tokens"
    line = "name={0} scopes=ingest,query tenant={0} sha256={1}\n"
    tokens.write_text("".join(
        line.format(name, hashlib.sha256(f"crst_{name}".encode()).hexdigest()) for name in ("default", "a", "b")))
    body = b"\x0a\x00" * 5_000
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens}", "--tenant-bytes-per-second=10000",
        "--tenant-bytes-per-second=b=none", "--source-bytes-per-second=1")
    try:
        def post(name):
            headers = {**PROTOBUF, "Authorization": f"Bearer crst_{name}"}
            return daemon.post("/v1/traces", "otlp-http", data=body, headers=headers)
        assert [post("a").status_code for _ in range(2)] == [200, 200]
        refused = post("a")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
        # Its neighbours are not asked to wait, and tokens are not limited by address.
        assert [post("b").status_code for _ in range(5)] == [200] * 5
        assert post("default").status_code == 200
        time.sleep(1.1)
        assert post("a").status_code == 200
        shown = crest("admission", "-o", "json", server=daemon.url(""), environment={"CREST_TOKEN": "crst_default"})
        tenants = {row["tenant"]: row for row in json.loads(shown.stdout)["tenants"]}
        assert tenants["a"]["requests"] == 3 and tenants["a"]["refused"] == 1 and tenants["a"]["bytes"] == 30_000
        assert tenants["b"]["requests"] == 5 and tenants["b"]["refused"] == 0
        table = crest("admission", server=daemon.url(""), environment={"CREST_TOKEN": "crst_default"})
        assert table.stdout.startswith("green, load 0 %") and "30000" in table.stdout
        # Other tenants' numbers are for the default tenant alone.
        denied = crest("admission", server=daemon.url(""), environment={"CREST_TOKEN": "crst_a"})
        assert denied.returncode == 4
    finally:
        assert daemon.stop() == 0


def test_a_tenant_that_fills_the_memory_does_not_keep_others_out(tmp_path):
    tokens = tmp_path / "tokens"
    tokens.write_text("".join(
        f"name={name} scopes=ingest,query,scrape tenant={name} "
        f"sha256={hashlib.sha256(f'crst_{name}'.encode()).hexdigest()}\n" for name in ("default", "heavy", "light")))
    daemon = Daemon(tmp_path / "data", f"--tokens-file={tokens}", "--memory-limit=64MiB")
    try:
        def admission():
            headers = {"Authorization": "Bearer crst_default"}
            return daemon.get("/api/crest/v1/admission", headers=headers).json()

        def post(name, seed):
            message, _ = otlp.request(2, 3, seed=seed)
            headers = {**PROTOBUF, "Authorization": f"Bearer crst_{name}"}
            return daemon.post("/v1/traces", "otlp-http", data=message.SerializeToString(), headers=headers)

        # 4 MiB of the 32 each, until the state is red: alone the tenant may do so.
        holders = [hold(daemon, 1 << 20, "crst_heavy") for _ in range(9)]
        eventually(lambda: admission()["memory"]["reservedBytes"] == 28 << 20)
        assert admission()["state"] == "red"
        assert post("heavy", 401).status_code == 503
        replies = [post("light", 402 + number) for number in range(20)]
        assert [reply.status_code for reply in replies] == [200] * 20
        assert all(int(reply.headers["crest-load"]) >= 87 for reply in replies)
        crowding = post("heavy", 403)
        assert crowding.status_code == 503 and "share" in crowding.text
        rows = {row["tenant"]: row for row in admission()["tenants"]}
        assert rows["light"]["refused"] == 0 and rows["light"]["spans"] == 120
        assert rows["heavy"]["refused"] >= 4 and rows["heavy"]["reservedBytes"] == 28 << 20
        for holder in holders:
            holder.close()
        eventually(lambda: post("heavy", 404).status_code == 200)
    finally:
        assert daemon.stop() == 0


def test_an_address_without_a_token_has_its_rate(tmp_path):
    daemon = Daemon(tmp_path / "data", "--source-bytes-per-second=10000", "--source-spans-per-second=100")
    try:
        body = b"\x0a\x00" * 10_000
        assert daemon.post("/v1/traces", "otlp-http", data=body, headers=PROTOBUF).status_code == 200
        refused = daemon.post("/v1/traces", "otlp-http", data=body, headers=PROTOBUF)
        assert refused.status_code == 429 and refused.headers["retry-after"] in ("1", "2")
        with grpc.insecure_channel(daemon.address["otlp-grpc"]) as channel:
            with pytest.raises(grpc.RpcError) as raised:
                channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")(body, timeout=10)
            assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "grpc-status-details-bin" in dict(raised.value.trailing_metadata())
        assert daemon.ledger()["requests"]["rejected"]["source_rate"] == 2
        eventually(lambda: daemon.post("/v1/traces", "otlp-http", data=b"", headers=PROTOBUF).status_code == 200)
        message, _ = otlp.request(100, 3, seed=302)
        time.sleep(2.1)
        # More than a burst of spans needs the whole burst, and the next one has to wait for what is owed.
        message = message.SerializeToString()
        assert daemon.post("/v1/traces", "otlp-http", data=message, headers=PROTOBUF).status_code == 200
        owing = daemon.post("/v1/traces", "otlp-http", data=b"", headers=PROTOBUF)
        large = daemon.post("/v1/traces", "otlp-http", data=message, headers=PROTOBUF)
        assert owing.status_code == 200 and large.status_code == 429 and int(large.headers["retry-after"]) >= 1
        assert daemon.ledger()["balanced"]
    finally:
        assert daemon.stop() == 0


def test_unknown_tokens_are_slowed_down_and_good_ones_are_not(tmp_path):
    tokens = tmp_path / "tokens"
    digest = hashlib.sha256(b"crst_good").hexdigest()
    tokens.write_text(f"name=good scopes=query tenant=default sha256={digest}\n")
    daemon = Daemon(tmp_path / "data", f"--tokens-file={tokens}")
    try:
        def get(token):
            return daemon.get("/api/services", headers={"Authorization": f"Bearer {token}"})
        answers = [get(f"crst_bad{number}") for number in range(14)]
        assert [reply.status_code for reply in answers] == [401] * 10 + [429] * 4
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 6
        assert get("crst_good").status_code == 200
    finally:
        assert daemon.stop() == 0
