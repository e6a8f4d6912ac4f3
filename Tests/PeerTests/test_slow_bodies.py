"""Bodies that trickle in, at the daemon's own limits: told so and closed within seconds, while good clients are served."""
import re
import socket
import threading
import time

import requests

import otlp
from daemon import eventually

HEAD = b"POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"


def connect(daemon, listener="otlp-http"):
    host, port = daemon.address[listener].rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=20)


def trickle(connection, piece, found):
    """Sends a piece ten times a second until an answer comes; leaves the answer and the seconds in `found`."""
    began, answer = time.monotonic(), b""
    connection.settimeout(0.1)
    while time.monotonic() - began < 20:
        try:
            connection.sendall(piece)
        except OSError:
            pass  # Our side is closed; the answer is there all the same.
        try:
            more = connection.recv(4096)
            answer += more
            if not more:
                break
        except TimeoutError:
            pass
        except OSError:
            break
    found.append((time.monotonic() - began, answer))


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def call(stream):
    """The headers of an export, as literals, and the beginning of a message of a mebibyte."""
    fields = [(":method", "POST"), (":scheme", "http"), (":authority", "x"),
              (":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"),
              ("content-type", "application/grpc")]
    block = b"".join(b"\0" + bytes([len(k)]) + k.encode() + bytes([len(v)]) + v.encode() for k, v in fields)
    return frame(1, 4, stream, block) + frame(0, 0, stream, b"\0" + (1 << 20).to_bytes(4, "big"))


def test_bodies_below_a_kibibyte_a_second_are_cut(daemon):
    length, chunked, calls = connect(daemon), connect(daemon), connect(daemon, "otlp-grpc")
    length.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
    chunked.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    calls.sendall(PREFACE + call(1))
    kinds = [(length, b"\x0a"), (chunked, b"1;a=b\r\n\x0a\r\n"), (calls, frame(0, 0, 1, b"\x0a"))]
    answers = [[] for _ in kinds]
    threads = [threading.Thread(target=trickle, args=(*kind, found)) for kind, found in zip(kinds, answers)]
    for thread in threads:
        thread.start()
    served = 0
    with requests.Session() as session:
        while any(thread.is_alive() for thread in threads[:2]):
            message, _ = otlp.request(1, seed=served)
            served += 1
            reply = session.post(daemon.url("/v1/traces", "otlp-http"), data=message.SerializeToString(),
                                 headers={"Content-Type": "application/x-protobuf"}, timeout=20)
            assert reply.status_code == 200
        # The connection of the calls lives on; its call was told.
        eventually(lambda: re.search(
            r'^crest_grpc_calls_total{code="4"} 1$', daemon.get("/metrics").text, re.MULTILINE))
    calls.close()
    for thread in threads:
        thread.join()
    for (seconds, answer), in answers[:2]:
        assert answer.startswith(b"HTTP/1.1 408 ") and b"connection: close" in answer.lower()
        assert 4.5 < seconds < 19
    print(f"cut after {[round(found[0][0], 1) for found in answers]} s, {served} good requests meanwhile")
    assert served > 50
    ledger = daemon.ledger()
    assert ledger["balanced"] and ledger["requests"]["rejected"]["timeout"] == 3
