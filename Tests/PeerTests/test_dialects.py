"""Micrometer's lines, mapping files and explanations through the real daemon."""
import pytest

from daemon import Daemon, crest, eventually
from test_statsd import sample, scrape, send, until_applied


@pytest.fixture
def start(tmp_path):
    daemons = []

    def run(*flags):
        daemons.append(Daemon(tmp_path / "data", *flags))
        return daemons[-1]
    yield run
    for daemon in daemons:
        assert daemon.stop() == 0


def test_spring_mapping(start):
    daemon = start("--statsd-mapping=spring-http", "--statsd-profile=micrometer")
    tags = "exception:none,method:GET,outcome:SUCCESS,status:200,uri:/pay"
    send(daemon, f"http.server.requests:250|d|#{tags}", f"http.server.requests:50|ms|#{tags}",
         "http_server_requests,method=POST,uri=/x,status=500:10|ms",
         "httpServerRequests.error.none.exception.none.method.PUT.outcome.SUCCESS.status.201.uri./o:20|ms")
    until_applied(daemon, 4)

    def right():
        families = scrape(daemon)
        assert sample(families, "http_requests_total", method="GET", route="/pay", status="200") == 2
        assert sample(families, "http_requests_total", method="POST", route="/x", status="500") == 1
        assert sample(families, "http_requests_total", method="PUT", route="/o", status="201") == 1
        assert sample(families, "http_request_duration_seconds_count", method="GET") == 2
        assert abs(sample(families, "http_request_duration_seconds_sum", method="GET") - 0.3) < 1e-9
        assert "exception" not in daemon.get("/metrics").text.replace("httpServerRequests", "")
        return True
    eventually(right)


def test_exporter_mapping_and_relabelling(start, tmp_path):
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("""
mappings:
- match: "api.*.requests.*"
  name: "api_requests_total"
  labels: {handler: "$1", code: "$2"}
- match: "noise.*"
  action: drop
  name: none
relabel:
- source_labels: [code]
  regex: '(.).*'
  target_label: class
  replacement: '${1}xx'
""")
    daemon = start(f"--statsd-mapping={mapping}", "--statsd-gauge-sign=absolute")
    send(daemon, "api.pay.requests.503:2|c", "noise.a:1|c", "noise.a:1|c", "g:5|g", "g:-2|g")
    terms = until_applied(daemon, 5)
    assert terms["rejected"]["dropped_by_rule"] == 2 and terms["applied"] == 3

    def right():
        families = scrape(daemon)
        assert sample(families, "api_requests_total", handler="pay", code="503", **{"class": "5xx"}) == 2
        assert sample(families, "g") == -2
        return True
    eventually(right)
    shown = crest("explain", "api.pay.requests.503:2|c", server=daemon.url(""))
    assert shown.returncode == 0, shown.stderr
    assert f"{mapping}:3: match api.*.requests.*" in shown.stdout
    assert 'api_requests_total{class="5xx",code="503",handler="pay"}' in shown.stdout


def test_rejects_and_explanations(start):
    daemon = start()
    send(daemon, "broken\x1b[2J", "x:1|q", "_sc|db|1|#env:dev|m:slow", "c:1|c|T1656581400|c:ci-1|e:it-false|card:low")
    until_applied(daemon, 4)
    shown = crest("metrics", "rejects", server=daemon.url(""))
    assert shown.returncode == 0, shown.stderr
    assert "broken\\x1b[2J" in shown.stdout and "bad_type" in shown.stdout and "\x1b" not in shown.stdout
    refused = crest("explain", "x:1|q", server=daemon.url(""))
    assert refused.returncode == 1 and "bad_type" in refused.stdout
    eventually(lambda: sample(scrape(daemon), "service_check_status", check="db", env="dev") == 1)
    families = scrape(daemon)
    assert sample(families, "crest_statsd_explicit_timestamps_total") == 1
    for kind in ("container", "external_data", "cardinality"):
        assert sample(families, "crest_statsd_skipped_fields_total", kind=kind) == 1


def test_a_bad_mapping_stops_the_start(tmp_path):
    mapping = tmp_path / "bad.yaml"
    mapping.write_text("mappings:\n- match: a.*\n  name: x_$9\n")
    with pytest.raises(AssertionError, match="bad.yaml:3: 'x_\\$9' names group 9"):
        Daemon(tmp_path / "data", f"--statsd-mapping={mapping}")
