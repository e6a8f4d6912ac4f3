"""Sends OTLP over HTTP as hard as it can, as a process of its own: `flood.py HOST:PORT SEED SECONDS CONNECTIONS`.

Bodies of 16 KiB to 4 MiB, plain and gzip, one after the other on each connection, whatever is answered: a client that
is refused comes again at once. Prints what came of it as JSON. All traces of a body have the first half of their
ids in common, so that a body of new traces is the old one with that half replaced.
"""
import gzip
import http.client
import json
import random
import sys
import threading
import time

import otlp

SPANS = 12
PLAIN = {"Content-Type": "application/x-protobuf"}
GZIP = {**PLAIN, "Content-Encoding": "gzip"}


def half(number):
    """The first half of the ids of a body's traces."""
    return b"\xc7" + number.to_bytes(7, "big")


def trace_id(number, index):
    return half(number) + (index + 1).to_bytes(8, "big")


def template(traces):
    """A body whose traces have the ids of number 0."""
    message, ids = otlp.request(traces, SPANS, service="flood", seed=traces)
    names = {old: trace_id(0, index) for index, old in enumerate(ids)}
    for span in message.resource_spans[0].scope_spans[0].spans:
        span.trace_id = names[span.trace_id]
    return message.SerializeToString()


class Flood:
    def __init__(self, address, seed, seconds):
        self.host, port = address.rsplit(":", 1)
        self.port, self.seed = int(port), seed
        self.end = time.monotonic() + seconds
        self.templates = [(traces, template(traces)) for traces in (10, 100, 500, 2_250)]
        self.lock = threading.Lock()
        self.found = {"acknowledged": [], "offered_bytes": 0, "statuses": {}, "without_retry_after": 0, "broken": 0}

    def run(self, place):
        rng = random.Random(self.seed * 1_000 + place)
        connection = None
        for count in range(1, 1 << 20):
            if time.monotonic() >= self.end:
                return
            number = self.seed << 40 | place << 24 | count
            traces, body = self.templates[rng.choices(range(4), (4, 4, 2, 1))[0]]
            body, headers = body.replace(half(0), half(number)), PLAIN
            if traces <= 100 and rng.random() < 0.2:
                body, headers = gzip.compress(body, 1), GZIP
            if connection is None:
                connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
            try:
                connection.request("POST", "/v1/traces", body, headers)
                reply = connection.getresponse()
                reply.read()
                self.note(reply.status, reply.headers.get("Retry-After"), number, traces, len(body))
                if reply.headers.get("Connection") == "close":
                    connection = None
            except ConnectionRefusedError:
                return  # Nobody is there any more.
            except (OSError, http.client.HTTPException):
                # Refused before the body was read, and closed: the answer may be lost to the reset.
                connection.close()
                connection = None
                with self.lock:
                    self.found["broken"] += 1

    def note(self, status, retry_after, number, traces, length):
        with self.lock:
            found = self.found
            found["offered_bytes"] += length
            found["statuses"][status] = found["statuses"].get(status, 0) + 1
            if status == 200:
                found["acknowledged"].append((number, traces))
            elif retry_after is None:
                found["without_retry_after"] += 1


def main():
    address, seed, seconds, connections = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    flood = Flood(address, seed, seconds)
    threads = [threading.Thread(target=flood.run, args=(place,)) for place in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(flood.found))


if __name__ == "__main__":
    main()
