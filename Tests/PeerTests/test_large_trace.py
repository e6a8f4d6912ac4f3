"""A trace of 10,000 spans: as many children of one root, and as a chain in which each is the parent of the next."""
import json

import pytest

import otlp
from daemon import crest

SPANS = 10_000


def large_trace(is_chain):
    message, (trace_id,) = otlp.request(1, SPANS, seed=41 + is_chain)
    if is_chain:
        spans = message.resource_spans[0].scope_spans[0].spans
        for parent, child in zip(spans, spans[1:]):
            child.parent_span_id = parent.span_id
    return message, trace_id.hex()


@pytest.mark.parametrize("is_chain", [False, True], ids=["wide", "chain"])
def test_ten_thousand_spans_are_served_whole(daemon, is_chain):
    message, trace_id = large_trace(is_chain)
    assert otlp.export(daemon, message).status_code == 200
    for when in ("fresh", "after a restart"):
        jaeger = daemon.json(f"/api/traces/{trace_id}")["data"][0]["spans"]
        zipkin = daemon.json(f"/api/v2/trace/{trace_id}", "zipkin")
        shown = crest("trace", trace_id, "-o", "json", server=daemon.url(""))
        assert shown.returncode == 0, shown.stderr
        assert len(jaeger) == len(zipkin) == SPANS, when
        assert len({span["spanID"] for span in jaeger}) == SPANS
        assert shown.stdout.count('"spanId"') >= SPANS or len(json.loads(shown.stdout)["spans"]) == SPANS
        waterfall = crest("trace", trace_id, server=daemon.url(""))
        assert waterfall.returncode == 0 and f"{SPANS} spans" in waterfall.stdout.replace(",", ""), waterfall.stderr
        assert daemon.stop() == 0
        daemon.start()
    assert daemon.ledger()["balanced"] is True
