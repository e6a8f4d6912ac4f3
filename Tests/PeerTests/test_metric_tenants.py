"""Two tenants and the default one send metrics by every way in; each reads back what is its own, and nothing else."""
import hashlib
import random
import re
import shutil
import socket
import subprocess
import time

import grpc
import pytest
import requests
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GRPCMetricExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind
from prometheus_client.parser import text_string_to_metric_families

from daemon import Daemon, crest, eventually
from test_prometheus import free_port
from test_remote_write import field, snappy

TENANTS = ("default", "red", "blue")


def bearer(tenant):
    return {"Authorization": f"Bearer crst_{tenant}"}


def tokens(folder, tenants=TENANTS):
    path = folder / "tokens"
    path.write_text("".join(
        f"name={tenant} scopes=ingest,query,scrape,admin tenant={tenant} "
        f"sha256={hashlib.sha256(f'crst_{tenant}'.encode()).hexdigest()}\n" for tenant in tenants))
    return path


def word(tenant):
    """Stands in every name and label that the tenant sends, and nowhere else."""
    return f"{tenant}xyz"


def meters(daemon, tenant, over_grpc=False):
    if over_grpc:
        exporter = GRPCMetricExporter(
            endpoint=daemon.address["otlp-grpc"], insecure=True,
            headers=(("authorization", f"Bearer crst_{tenant}"),))
    else:
        exporter = OTLPMetricExporter(endpoint=daemon.url("/v1/metrics", "otlp-http"), headers=bearer(tenant))
    reader = PeriodicExportingMetricReader(exporter, export_interval_millis=3_600_000)
    return MeterProvider([reader], Resource.create({"service.name": f"{word(tenant)}_service"}))


def trace(daemon, tenant):
    """One span of the SDK."""
    tracing = TracerProvider(resource=Resource.create({"service.name": f"{word(tenant)}_service"}))
    tracing.add_span_processor(SimpleSpanProcessor(
        OTLPSpanExporter(daemon.url("/v1/traces", "otlp-http"), headers=bearer(tenant))))
    with tracing.get_tracer("t").start_as_current_span(f"{word(tenant)}_span", kind=SpanKind.SERVER):
        pass
    tracing.shutdown()


def write(daemon, tenant, name, value, seconds=None):
    """One sample by remote write 1.0, by hand."""
    def label(key, text):
        return field(1, field(1, key.encode()) + field(2, text.encode()))

    stamp = int((seconds or time.time()) * 1000)
    body = field(1, label("__name__", name) + label("who", word(tenant))
                 + field(2, field(1, float(value)) + field(2, stamp)))
    return daemon.post("/api/v1/write", data=snappy(body), headers={
        **bearer(tenant), "content-encoding": "snappy", "content-type": "application/x-protobuf"})


def scrape(daemon, tenant):
    reply = daemon.get("/metrics", headers=bearer(tenant))
    assert reply.status_code == 200, reply.text
    return reply.text


def values(daemon, tenant):
    return {sample.name: sample.value for family in text_string_to_metric_families(scrape(daemon, tenant))
            for sample in family.samples if word(tenant) in str(sample.labels) or word(tenant) in sample.name}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """A daemon to which each tenant has sent the same things under its own names, by every way in."""
    folder = tmp_path_factory.mktemp("tenants")
    daemon = Daemon(folder / "data", f"--tokens-file={tokens(folder)}")
    for tenant in TENANTS:
        own = word(tenant)
        for over_grpc in (False, True):
            provider = meters(daemon, tenant, over_grpc)
            way = "grpc" if over_grpc else "http"
            provider.get_meter("t").create_counter(f"{own}.otlp.{way}").add(7, {"who": own})
            assert provider.force_flush()
            provider.shutdown()
        assert write(daemon, tenant, f"{own}_written_total", 5).status_code == 204
        lines = (f"{own}.lines:2|c|#who:{own}\nshared.name:1|c|#who:{own}\n{own}.time:20|ms\n"
                 f"{own}.torn:1|c\n{own}.torn:1|g\n{own} is no line\n")
        reply = daemon.post("/api/v1/statsd", data=lines, headers=bearer(tenant))
        assert reply.status_code == 202 and reply.json() == {"accepted": 5, "rejected": {"no_colon": 1}}
        trace(daemon, tenant)
    # A datagram has no token.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(f"{word('default')}.datagram:1|c|#who:{word('default')}".encode(), daemon.udp())
    for tenant in TENANTS:
        own = word(tenant)
        names = {f"{own}_otlp_http_total", f"{own}_otlp_grpc_total", f"{own}_written_total", f"{own}_lines_total",
                 "traces_spanmetrics_calls_total"}
        eventually(lambda: names <= set(values(daemon, tenant)))
    eventually(lambda: f"{word('default')}_datagram_total" in values(daemon, "default"))
    yield daemon
    assert daemon.stop() == 0


def reads(tenant):
    """Every path of the metrics side, asked so that there is something to tell."""
    now = int(time.time())
    everything = '{__name__=~".+"}'
    prometheus, own = "/prometheus/api/v1/", "/api/crest/v1/"
    matching = {"match[]": everything}
    return [
        ("/metrics", {}), (own + "series", {}), (own + "series", {"name": "shared_name_total", "quantile": "0.5"}),
        (own + "series/range", {"name": "shared_name_total"}), (own + "rejects", {}),
        (own + "metrics/cardinality", {}), (own + "metrics/conflicts", {}), (own + "metrics/top", {}),
        (own + "metrics/top", {"by": "series"}), (own + "explain", {"line": "shared.name:1|c"}),
        (prometheus + "query", {"query": everything}), (prometheus + "query", {"query": "count by (who, job) (" + everything + ")"}),
        (prometheus + "query_range", {"query": everything, "start": now - 60, "end": now, "step": 5}),
        (prometheus + "labels", {}), (prometheus + "label/__name__/values", {}), (prometheus + "label/who/values", {}),
        (prometheus + "label/job/values", {}), (prometheus + "label/service/values", {}),
        (prometheus + "series", matching), (prometheus + "metadata", {}), (prometheus + "status/buildinfo", {}),
        (prometheus + "query", {"query": "no syntax ("}), (own + "series", {"limit": "x"}),
    ]


def test_each_reads_its_own_and_nothing_else(daemon):
    told = set()
    for tenant in TENANTS:
        others = [word(other) for other in TENANTS if other != tenant]
        for path, parameters in reads(tenant):
            reply = daemon.get(path, params=parameters, headers=bearer(tenant))
            assert reply.status_code in (200, 400), (path, reply.status_code, reply.text[:300])
            for other in others:
                assert other not in reply.text, (tenant, path, parameters)
            if word(tenant) in reply.text:
                told.add((tenant, path))
    silent = ("series/range", "explain", "metadata", "buildinfo", "labels")
    for path, _ in reads("red"):
        if not path.endswith(silent):
            assert {(tenant, path) for tenant in TENANTS} <= told, path


def test_values_and_counts_are_the_tenants_own(daemon):
    for tenant in TENANTS:
        own = word(tenant)
        seen = values(daemon, tenant)
        assert seen[f"{own}_otlp_http_total"] == seen[f"{own}_otlp_grpc_total"] == 7
        assert seen[f"{own}_written_total"] == 5 and seen[f"{own}_lines_total"] == 2
        assert seen["traces_spanmetrics_calls_total"] == 1
        assert seen["shared_name_total"] == 1

        def ask(expression):
            body = daemon.get(
                "/prometheus/api/v1/query", params={"query": expression}, headers=bearer(tenant)).json()
            return {str(one["metric"]): float(one["value"][1]) for one in body["data"]["result"]}

        eventually(lambda: ask("sum(shared_name_total)") == {"{}": 1})
        assert ask("count(traces_spanmetrics_calls_total)") == {"{}": 1}
        found = daemon.get("/api/crest/v1/series/range", params={"name": "shared_name_total"}, headers=bearer(tenant))
        assert [one["labels"] for one in found.json()["series"]] == [{"who": own}]
        rejects = daemon.get("/api/crest/v1/rejects", headers=bearer(tenant)).json()
        extra = 1 if tenant == "default" else 0
        assert (rejects["seen"], rejects["applied"]) == (6 + extra, 5 + extra)
        assert [(one["reason"], one["count"], one["example"]["line"]) for one in rejects["rejects"]] == [
            ("no_colon", 1, f"{own} is no line")]
        known = daemon.get("/api/crest/v1/explain", params={"line": f"{own}.lines:1|c|#who:{own}"}, headers=bearer(tenant))
        assert known.json()["lines"][0]["series"][0]["isKnown"]
        foreign = "red" if tenant != "red" else "blue"
        line = f"{word(foreign)}.lines:1|c|#who:{word(foreign)}"
        unknown = daemon.get("/api/crest/v1/explain", params={"line": line}, headers=bearer(tenant))
        assert not unknown.json()["lines"][0]["series"][0]["isKnown"]
        listed = crest("metrics", "list", server=daemon.url(""), environment={"CREST_TOKEN": f"crst_{tenant}"})
        assert listed.returncode == 0 and f"{own}_lines_total" in listed.stdout, listed.stderr


def test_what_tells_of_all_is_the_default_tenants(daemon):
    text = scrape(daemon, "default")
    assert "crest_metric_tenants 2\n" in text
    for tenant in ("red", "blue"):
        assert re.search(rf'^crest_metric_tenant_series{{tenant="{tenant}"}} [1-9]', text, re.M)
        assert not re.search("^crest_", scrape(daemon, tenant), re.M)
        for path in ("ledger", "status", "admission", "snapshots"):
            assert daemon.get(f"/api/crest/v1/{path}", headers=bearer(tenant)).status_code == 403
    ledger = daemon.get("/api/crest/v1/ledger", headers=bearer("default")).json()
    assert ledger["balanced"] and (ledger["lines"]["seen"], ledger["lines"]["applied"]) == (19, 16)
    # Of each tenant: the points of two SDKs, at the flush and at the end, and one sample.
    assert ledger["points"]["applied"] == 15 and ledger["points"]["rejected"] == {}


def test_a_header_does_not_change_the_tenant(daemon):
    for header in ("X-Scope-OrgID", "crest-tenant"):
        reply = daemon.get("/metrics", headers={**bearer("red"), header: "blue"})
        assert reply.status_code == 403 and word("blue") not in reply.text


class ScrapingPrometheus:
    """Debian's Prometheus that scrapes one daemon with the token of each tenant, a job each."""

    def __init__(self, folder, target):
        jobs = "".join(
            f"  - {{job_name: {tenant}, authorization: {{credentials: crst_{tenant}}}, "
            f"static_configs: [{{targets: ['{target}']}}]}}\n" for tenant in TENANTS)
        config = folder / "prometheus.yml"
        config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs:\n{jobs}")
        self.port = free_port()
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
             f"--web.listen-address=127.0.0.1:{self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def values(self, expression):
        body = requests.get(
            f"http://127.0.0.1:{self.port}/api/v1/query", params={"query": expression}, timeout=10).json()
        assert body["status"] == "success", body
        return {one["metric"].get("job"): float(one["value"][1]) for one in body["data"]["result"]}

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def test_counters_of_every_tenant_survive_kills(tmp_path):
    """Three SDKs that never restart and lines by HTTP, a daemon that is killed: totals exact, no reset, a Prometheus each."""
    rng = random.Random(20261126)
    port, otlp = free_port(), free_port()
    daemon = Daemon(
        tmp_path / "data", f"--http=127.0.0.1:{port}", f"--otlp-http=127.0.0.1:{otlp}",
        f"--tokens-file={tokens(tmp_path)}")
    prometheus = ScrapingPrometheus(tmp_path, daemon.address["http"])
    providers = {tenant: meters(daemon, tenant) for tenant in TENANTS}
    orders = {tenant: provider.get_meter("t").create_counter("orders") for tenant, provider in providers.items()}
    sold, lines = dict.fromkeys(TENANTS, 0), dict.fromkeys(TENANTS, 0)

    def total(tenant, name):
        text = scrape(daemon, tenant)
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

    try:
        for cycle in range(5):
            for tenant in TENANTS:
                count = rng.randrange(1, 100)
                orders[tenant].add(count)
                sold[tenant] += count
                assert providers[tenant].force_flush()
                reply = daemon.post(
                    "/api/v1/statsd", data=f"clicks:{count}|c", headers=bearer(tenant))
                assert reply.status_code == 202
                lines[tenant] += count
            # What a scrape has shown is on the disk.
            for tenant in TENANTS:
                eventually(lambda: total(tenant, "clicks_total") == lines[tenant])
                eventually(lambda: total(tenant, "orders_total") == sold[tenant])
            if cycle == 3:
                assert daemon.stop() == 0
            else:
                daemon.kill()
            daemon.start()
            for tenant in TENANTS:
                assert total(tenant, "clicks_total") == lines[tenant]
                assert total(tenant, "orders_total") == sold[tenant]
        eventually(lambda: prometheus.values("sum by (job) (orders_total)") == sold)
        eventually(lambda: prometheus.values("sum by (job) (clicks_total)") == lines)
        for name in ("orders_total", "clicks_total"):
            assert set(prometheus.values(f"sum by (job) (resets({name}[1h]))").values()) == {0}
        # Recorded seconds are there as well, each tenant's own.
        for tenant in TENANTS:
            answer = daemon.get(
                "/prometheus/api/v1/query", params={"query": "sum(clicks_total)"}, headers=bearer(tenant)).json()
            assert [float(one["value"][1]) for one in answer["data"]["result"]] == [lines[tenant]]
        assert sorted(path.name for path in (tmp_path / "data" / "tenants").iterdir()) == ["blue", "red"]
        # Without tokens everybody is the default tenant, and the folders stay.
        assert daemon.stop() == 0
        daemon.flags = [flag for flag in daemon.flags if not flag.startswith("--tokens")]
        daemon.start()
        assert total("red", "clicks_total") == lines["default"]
    finally:
        for provider in providers.values():
            provider.shutdown()
        prometheus.stop()
        daemon.stop()


def test_too_many_tenants_and_too_many_series(tmp_path):
    names = ("default", "a", "b", "c")
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens(tmp_path, names)}", "--metric-tenants=2", "--series-limit=100")
    try:
        def send(tenant, lines):
            return daemon.post("/api/v1/statsd", data=lines, headers=bearer(tenant))

        # Questions take no place.
        for tenant in names:
            assert daemon.get("/api/crest/v1/series", headers=bearer(tenant)).json()["series"] == []
        for tenant in ("default", "a", "b"):
            assert send(tenant, "n:1|c").status_code == 202
        refused = send("c", "n:1|c")
        assert refused.status_code == 429 and refused.headers["retry-after"] == "60"
        assert "--metric-tenants" in refused.text
        assert write(daemon, "c", "n", 1).status_code == 429
        with grpc.insecure_channel(daemon.address["otlp-grpc"]) as channel:
            export = channel.unary_unary("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
            with pytest.raises(grpc.RpcError) as error:
                export(b"", timeout=10, metadata=[("authorization", "Bearer crst_c")])
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert daemon.get("/metrics", headers=bearer("c")).text == ""
        # A tenth of the limit; the default tenant has all of it.
        for tenant in ("default", "a"):
            assert send(tenant, "".join(f"many:1|c|#id:{n}\n" for n in range(50))).status_code == 202
        eventually(lambda: "many_total" in scrape(daemon, "a"))

        def series(tenant):
            return len(re.findall(r'^many_total{id="\d', scrape(daemon, tenant), re.M))

        eventually(lambda: series("default") == 50)
        assert series("a") < 10
        text = scrape(daemon, "default")
        assert "crest_metric_tenants_refused_total 3\n" in text
        assert re.search(r'^crest_metric_tenant_series_overflowed_total{tenant="a"} [1-9]', text, re.M)
        assert daemon.get("/api/crest/v1/ledger", headers=bearer("default")).json()["balanced"]
        # With a lower limit the folders beyond it stay closed, and what is no tenant's folder is left alone.
        assert daemon.stop() == 0
        folders = tmp_path / "data" / "tenants"
        (folders / "No tenant").mkdir()
        (folders / "file").write_text("x")
        daemon.flags[1] = "--metric-tenants=1"
        daemon.start()
        assert any("tenant b stay closed" in line for line in daemon.log)
        assert "n_total 1\n" in scrape(daemon, "a") and scrape(daemon, "b") == ""
        assert send("b", "n:1|c").status_code == 429
        assert sorted(path.name for path in folders.iterdir()) == ["No tenant", "a", "b", "file"]
    finally:
        assert daemon.stop() == 0


def test_a_reload_counts_for_every_tenant(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("series-limit: 100\n")
    daemon = Daemon(tmp_path / "data", f"--config={config}", f"--tokens-file={tokens(tmp_path)}", "--span-metrics=off")
    try:
        def series(tenant, name):
            lines = "".join(f"{name}:1|c|#id:{n}\n" for n in range(50))
            assert daemon.post("/api/v1/statsd", data=lines, headers=bearer(tenant)).status_code == 202
            eventually(lambda: f"{name}_total" in scrape(daemon, tenant))
            return len(re.findall(rf'^{name}_total{{id="\d', scrape(daemon, tenant), re.M))

        assert series("red", "before") == 10
        config.write_text("series-limit: 10000\n")
        assert daemon.post("/-/reload", headers=bearer("red")).status_code == 403
        assert daemon.post("/-/reload", headers=bearer("default")).status_code == 200
        # One that was there, and one that comes now.
        assert series("red", "after") == series("blue", "after") == 50
    finally:
        assert daemon.stop() == 0


def test_without_a_log_tenants_are_in_memory(tmp_path):
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens(tmp_path)}", "--durability=memory", "--recorder-age=off")
    try:
        for tenant in TENANTS:
            trace(daemon, tenant)
        for tenant in TENANTS:
            def calls():
                return re.findall(r'^traces_spanmetrics_calls_total{.*span_name="(\w+)".*} 1$', scrape(daemon, tenant), re.M)

            assert eventually(calls) == [f"{word(tenant)}_span"]
        for tenant in TENANTS:
            reply = daemon.post("/api/v1/statsd", data=f"n:1|c|#who:{word(tenant)}", headers=bearer(tenant))
            assert reply.status_code == 202
        for tenant in TENANTS:
            text = eventually(lambda: (text := scrape(daemon, tenant)) and "n_total" in text and text)
            assert re.findall(r'^n_total{who="(\w+)"} 1$', text, re.M) == [word(tenant)]
        # As with the default one: nothing is recorded.
        for tenant in TENANTS:
            assert daemon.get("/api/crest/v1/series/range", headers=bearer(tenant)).status_code in (400, 404)
            labels = daemon.get("/prometheus/api/v1/labels", headers=bearer(tenant))
            assert labels.status_code == 503
    finally:
        assert daemon.stop() == 0


def test_inspection_and_salvage_know_the_tenants(tmp_path):
    daemon = Daemon(tmp_path / "data", f"--tokens-file={tokens(tmp_path)}")
    for tenant, count in (("default", 3), ("red", 5), ("blue", 7)):
        assert daemon.post("/api/v1/statsd", data=f"n:{count}|c", headers=bearer(tenant)).status_code == 202
        eventually(lambda: f"n_total {count}\n" in scrape(daemon, tenant))
    daemon.kill()
    shown = crest("store", "inspect", str(tmp_path / "data"), "-o", "json")
    assert shown.returncode == 0, shown.stderr
    logs = re.findall(r"(?:tenants/\w+/)?metrics/\d+\.mlog", shown.stdout)
    assert sorted({path.rsplit("/", 1)[0] for path in logs}) == [
        "metrics", "tenants/blue/metrics", "tenants/red/metrics"]
    saved = crest("store", "salvage", str(tmp_path / "data"), "--to", str(tmp_path / "saved"))
    assert saved.returncode == 0 and "3 metrics log files" in saved.stdout, saved.stdout + saved.stderr
    again = Daemon(tmp_path / "saved", f"--tokens-file={tmp_path / 'tokens'}")
    try:
        for tenant, count in (("default", 3), ("red", 5), ("blue", 7)):
            assert f"n_total {count}\n" in scrape(again, tenant)
    finally:
        assert again.stop() == 0
