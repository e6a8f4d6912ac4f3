"""OTLP requests made with the opentelemetry-proto package, seeded."""
import random

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

BASE_NANOS = 1_790_000_000_000_000_000


def any_value(value):
    result = AnyValue()
    if isinstance(value, bool):
        result.bool_value = value
    elif isinstance(value, int):
        result.int_value = value
    elif isinstance(value, float):
        result.double_value = value
    elif isinstance(value, bytes):
        result.bytes_value = value
    elif isinstance(value, str):
        result.string_value = value
    elif isinstance(value, list):
        result.array_value.values.extend(any_value(item) for item in value)
    elif isinstance(value, dict):
        result.kvlist_value.values.extend(KeyValue(key=k, value=any_value(v)) for k, v in value.items())
    return result


def attributes(values):
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def request(traces, spans_per_trace=3, service="shop", seed=1, base=BASE_NANOS, resource=None):
    """A request with `traces` traces of a root and its children; returns (message, [trace id bytes])."""
    rng = random.Random(seed)
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource_spans.resource.attributes.extend(attributes({"service.name": service, **(resource or {})}))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "peer-tests"
    ids = []
    for number in range(traces):
        trace_id = rng.randbytes(16)
        ids.append(trace_id)
        start = base + number * 1_000_000
        root = None
        for index in range(spans_per_trace):
            span = scope_spans.spans.add()
            span.trace_id = trace_id
            span.span_id = rng.randbytes(8)
            if root is None:
                root = span.span_id
            else:
                span.parent_span_id = root
            span.name = "root" if index == 0 else f"child {index}"
            span.kind = 2 if index == 0 else 1
            span.start_time_unix_nano = start + index * 1_000
            span.end_time_unix_nano = start + 900_000 - index * 1_000
            span.attributes.extend(attributes({"user.id": f"u{rng.randrange(10_000)}", "n": number}))
    return message, ids


def export(daemon, message, listener="otlp-http", **headers):
    return daemon.post(
        "/v1/traces", listener, data=message.SerializeToString(),
        headers={"Content-Type": "application/x-protobuf", **headers})
