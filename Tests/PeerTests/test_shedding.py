"""More than the daemon can take: whole traces are shed, errors are kept, and the ledger has every span.

Requests that announce large bodies and never send them hold the memory, so that the state is orange as long as the test wants.
Each trace comes in two requests, the second of which may tell that it failed.
"""
import random
import time

import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse

from daemon import Daemon, eventually
from otlp import BASE_NANOS, attributes
from test_admission import hold

TRACES_A_REQUEST, SPANS_A_PART = 20, 12


def part(traces, number, rng):
    """One of the two requests of some traces; an error stands in the second."""
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.extend(attributes({"service.name": f"shop-{number}"}))
    spans = resource.scope_spans.add().spans
    for trace_id, is_error in traces:
        for index in range(SPANS_A_PART):
            span = spans.add()
            span.trace_id, span.span_id = trace_id, rng.randbytes(8)
            if number == 2 or index > 0:
                span.parent_span_id = rng.randbytes(8)
            span.name, span.kind = "work", 2 if index == 0 else 1
            span.start_time_unix_nano = BASE_NANOS
            span.end_time_unix_nano = BASE_NANOS + rng.randrange(1_000_000, 9_000_000)
            span.attributes.extend(attributes({"text": "x" * 200}))
            if number == 2 and index == 1 and is_error:
                span.status.code = 2
    return message.SerializeToString()


class Sender:
    """Sends pairs of requests over one connection; the second of a pair comes after the first of the next."""

    def __init__(self, daemon, seed):
        self.daemon, self.rng, self.session = daemon, random.Random(seed), requests.Session()
        self.sent = self.shed = self.refused = 0
        self.errors, self.waiting = set(), None
        self.on_refusal = lambda: None

    def send_pair(self):
        traces = [(self.rng.randbytes(16), self.rng.random() < 0.03) for _ in range(TRACES_A_REQUEST)]
        self.errors.update(trace_id.hex() for trace_id, is_error in traces if is_error)
        self.send(part(traces, 1, self.rng))
        self.finish()
        self.waiting = part(traces, 2, self.rng)

    def finish(self):
        if self.waiting:
            self.send(self.waiting)
        self.waiting = None

    def send(self, body):
        self.sent += TRACES_A_REQUEST * SPANS_A_PART
        while True:
            reply = self.session.post(
                self.daemon.url("/v1/traces", "otlp-http"), data=body, timeout=60,
                headers={"Content-Type": "application/x-protobuf"})
            if reply.status_code == 200:
                break
            assert reply.status_code == 503, reply.text
            self.refused += 1
            self.on_refusal()
        answer = ExportTraceServiceResponse.FromString(reply.content).partial_success
        shed = int(reply.headers.get("crest-shed", 0))
        assert answer.rejected_spans == shed and (answer.error_message == f"shed: overload, {shed}") == (shed > 0)
        self.shed += shed


def crowd(daemon):
    """Holds 78 % of the requests' memory, of which a body takes four times its length."""
    share = int(metric(daemon, "crest_memory_budget_bytes") * 0.78 / 3 / 4)
    holders = [hold(daemon, share) for _ in range(3)]
    eventually(lambda: metric(daemon, "crest_admission_state") == 2)
    return holders


def release(holders):
    while holders:
        holders.pop().close()


def metric(daemon, name):
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no {name}")


def stored_counts(daemon, query):
    """Spans by trace id, of the traces that a search finds."""
    counts, page = {}, ""
    while True:
        found = daemon.json(f"/api/crest/v1/search?limit=1000&start=1&{query}{page}")
        counts.update({trace["traceID"]: trace["spanCount"] for trace in found["traces"]})
        if not found["next"]:
            return counts
        page = f"&page={found['next']}"


def settled(daemon):
    spans = eventually(lambda: (lambda found: found if found["inFlight"] == 0 else None)(daemon.ledger()["spans"]))
    assert daemon.ledger()["balanced"] is True and spans["difference"] == 0
    return spans


def test_whole_traces_are_shed_and_errors_kept(tmp_path):
    daemon = Daemon(tmp_path / "data", "--overload-mixed-batch=shed", "--memory-limit=512MiB")
    try:
        sender = Sender(daemon, 1)
        # Before, in the first second, and then until fifty requests have met the overload.
        for _ in range(5):
            sender.send_pair()
        holders, met, end = crowd(daemon), 0, time.monotonic() + 60
        while met < 50 and time.monotonic() < end:
            before = sender.shed
            sender.send_pair()
            met += sender.shed > before
        assert met == 50 and sender.refused == 0
        release(holders)
        eventually(lambda: metric(daemon, "crest_admission_state") == 0)
        # What was decided holds on.
        for _ in range(5):
            sender.send_pair()
        sender.finish()
        spans = settled(daemon)
        assert spans["received"] == sender.sent
        assert sum(spans["shed"].values()) == sender.shed and "p1" not in spans["shed"]
        assert spans["rejected"] == {"shed": sender.shed - spans["rescued"]} and spans["rescued"] > 0, spans
        assert spans["stored"] == sender.sent - sender.shed + spans["rescued"], spans
        counts = stored_counts(daemon, "")
        assert sum(counts.values()) == spans["stored"]
        assert {trace: count for trace, count in counts.items() if count != 2 * SPANS_A_PART} == {}
        assert sender.errors <= counts.keys() and set(stored_counts(daemon, "error=true")) == sender.errors
    finally:
        assert daemon.stop() == 0


def test_retry_loses_nothing(tmp_path):
    daemon = Daemon(tmp_path / "data", "--memory-limit=512MiB")
    try:
        sender, holders = Sender(daemon, 2), crowd(daemon)
        sender.on_refusal = lambda: release(holders) if sender.refused == 5 else None
        for _ in range(10):
            sender.send_pair()
        sender.finish()
        assert sender.refused >= 5 and sender.shed == 0
        spans = settled(daemon)
        assert spans["stored"] == sender.sent and spans["shed"] == {} and set(spans["rejected"]) == {"busy"}
        assert spans["received"] == sender.sent + spans["rejected"]["busy"]
        counts = stored_counts(daemon, "")
        assert set(counts.values()) == {2 * SPANS_A_PART} and sender.errors <= counts.keys()
    finally:
        assert daemon.stop() == 0
