"""SIGTERM with connections open: not ready, nothing new, what is underway is answered and kept, at most 10 s."""
import signal
import socket
import time

import grpc
import pytest

import otlp
from daemon import Daemon, eventually

TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def connect(daemon, listener="http"):
    host, port = daemon.address[listener].rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=15)
    return connection


def head(body, path="/v1/traces"):
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()


def read_all(connection):
    """What comes until the peer closes."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def stopping(daemon):
    daemon.process.send_signal(signal.SIGTERM)
    eventually(lambda: any("stopping" in line for line in daemon.log))


def test_what_is_underway_is_answered_and_kept(daemon):
    message, ids = otlp.request(3, 2, seed=61)
    body = message.SerializeToString()
    idle, underway, asking = connect(daemon), connect(daemon), connect(daemon)
    # A connection that was used, and is kept alive.
    idle.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
    underway.sendall(head(body) + body[:7])
    asking.sendall(b"GET /-/ready HTTP/1.1\r\nHos")
    eventually(lambda: f"crest_memory_reserved_bytes {4 * len(body)}" in daemon.get("/metrics").text)
    stopping(daemon)
    assert read_all(idle) == b"", "closed without a word"
    asking.sendall(b"t: localhost\r\n\r\n")
    answer = read_all(asking)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nconnection: close\r\n" in answer.lower()
    with pytest.raises(ConnectionRefusedError):
        connect(daemon)
    underway.sendall(body[7:])
    answer = read_all(underway)
    assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\nconnection: close\r\n" in answer.lower(), answer
    assert daemon.process.wait(10) == 0
    daemon.start()
    for trace_id in ids:
        assert len(daemon.json(f"/api/traces/{trace_id.hex()}")["data"][0]["spans"]) == 2


def test_who_never_ends_is_cut(daemon):
    body = otlp.request(1, seed=62)[0].SerializeToString()
    stuck = [connect(daemon) for _ in range(3)]
    for connection in stuck:
        connection.sendall(head(body) + body[:5])
    # A connection that never says a word, and one that stops within a head.
    silent, halved = connect(daemon), connect(daemon)
    halved.sendall(b"POST /v1/traces HTT")
    assert daemon.get("/-/ready").status_code == 200
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    assert any("were cut" in line for line in daemon.log)
    for connection in (*stuck, silent, halved):
        connection.close()


def test_a_second_sigterm_changes_nothing(daemon):
    message, ids = otlp.request(20, 2, seed=63)
    assert otlp.export(daemon, message).status_code == 200
    for _ in range(3):
        daemon.process.send_signal(signal.SIGTERM)
    assert daemon.process.wait(10) == 0
    daemon.start()
    assert all(daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 200 for trace_id in ids)


def test_grpc_clients_are_told_to_go(daemon):
    body = otlp.request(1, seed=64)[0].SerializeToString()
    with grpc.insecure_channel(daemon.address["otlp-grpc"]) as channel:
        assert channel.unary_unary(TRACES)(body, timeout=10) == b""
        began = time.monotonic()
        assert daemon.stop() == 0
        assert time.monotonic() - began < 5, "an idle client holds nothing up"
        with pytest.raises(grpc.RpcError) as raised:
            channel.unary_unary(TRACES)(body, timeout=10)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        daemon.flags = [f"--otlp-grpc={daemon.address['otlp-grpc']}"]
        daemon.start()
        assert channel.unary_unary(TRACES)(body, timeout=15, wait_for_ready=True) == b""
    assert daemon.stop() == 0
