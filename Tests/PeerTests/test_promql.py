"""The same samples and the same questions for Crest and for the real Prometheus: the answers must be the same."""
import concurrent.futures
import json
import math
import os
import shutil
import subprocess
import time
import urllib.parse

import pytest
import requests

from daemon import BIN
from promql_data import END, START, STEP, generate, generated
from promql_expressions import BAD, GOOD, UNSUPPORTED

SEED = int(os.environ.get("CREST_SEED", "20240817"))
TIMES = [START + 3_600, START + 5_000.123, END + 200]
RANGES = [(START + 600, END + 400, 97), (START + 3_000.5, START + 3_600, 7)]


def requests_of(expression):
    for moment in TIMES:
        yield "query", {"query": expression, "time": moment}
    for start, end, step in RANGES:
        yield "query_range", {"query": expression, "start": start, "end": end, "step": step}


class Both:
    """Prometheus over blocks that promtool made of the samples, and promql-check over the samples themselves."""

    def __init__(self, folder):
        self.samples = folder / "samples.txt"
        self.samples.write_text(generate(SEED))
        blocks = folder / "tsdb"
        result = subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(self.samples), str(blocks)],
            capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stderr[-2000:]
        config = folder / "prometheus.yml"
        config.write_text("global: {}\n")
        self.port = free_port()
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={blocks}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--storage.tsdb.retention.time=100y", "--log.level=warn"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = requests.Session()
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.session.get(f"{self.root}/-/ready", timeout=2).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            assert time.monotonic() < deadline, "Prometheus does not become ready"
            time.sleep(0.05)

    @property
    def root(self):
        return f"http://127.0.0.1:{self.port}"

    def prometheus(self, questions):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(
                lambda question: self.session.post(
                    f"{self.root}/api/v1/{question[0]}", data=question[1], timeout=30).json(), questions))

    def crest(self, questions):
        lines = []
        for index, (path, parameters) in enumerate(questions):
            form = urllib.parse.urlencode(parameters)
            path = f"/prometheus/api/v1/{path}"
            lines.append(f"POST {path} {form}" if index % 2 else f"GET {path}?{form}")
        return self.crest_lines(lines)

    def crest_lines(self, lines):
        result = subprocess.run(
            [str(BIN / "promql-check"), str(self.samples)], input="\n".join(lines) + "\n", capture_output=True,
            text=True, timeout=240)
        assert result.returncode == 0, result.stderr[-2000:]
        replies = [line.split(" ", 1) for line in result.stdout.splitlines()]
        assert len(replies) == len(lines)
        return [json.loads(body) for _, body in replies]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    pair = Both(tmp_path_factory.mktemp("promql"))
    yield pair
    pair.stop()


def close(one, other):
    if one == other:
        return True
    left, right = float(one), float(other)
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-12)


def points_differ(ours, theirs):
    if len(ours) != len(theirs):
        return f"{len(ours)} points, Prometheus {len(theirs)}: {ours[:3]} {theirs[:3]}"
    for (our_time, our_value), (their_time, their_value) in zip(ours, theirs):
        if our_time != their_time or not close(our_value, their_value):
            return f"{our_value} at {our_time}, Prometheus {their_value} at {their_time}"
    return None


def difference(ours, theirs, is_ordered=False):
    """What differs in two replies; None when nothing does."""
    if theirs["status"] == "error" or ours["status"] == "error":
        if (ours["status"], ours.get("errorType")) == (theirs["status"], theirs.get("errorType")):
            return None
        return f"{json.dumps(ours)[:300]}\n  Prometheus {json.dumps(theirs)[:300]}"
    ours, theirs = ours["data"], theirs["data"]
    if ours["resultType"] != theirs["resultType"]:
        return f"{ours['resultType']}, Prometheus {theirs['resultType']}"
    if ours["resultType"] == "string":
        return None if ours == theirs else f"{ours}, Prometheus {theirs}"
    if ours["resultType"] == "scalar":
        return points_differ([ours["result"]], [theirs["result"]])
    names = [[json.dumps(series["metric"], sort_keys=True) for series in side["result"]] for side in (ours, theirs)]
    if is_ordered and names[0] != names[1]:
        return f"order {names[0]}\n  Prometheus {names[1]}"
    if sorted(names[0]) != sorted(names[1]):
        return f"series {sorted(names[0])}\n  Prometheus {sorted(names[1])}"
    expected = dict(zip(names[1], theirs["result"]))
    for name, series in zip(names[0], ours["result"]):
        other = expected[name]
        values = [side.get("values") or [side["value"]] for side in (series, other)]
        found = points_differ(*values)
        if found:
            return f"{name}: {found}"
    return None


def differences(both, expressions):
    questions = [question for expression in expressions for question in requests_of(expression)]
    theirs = both.prometheus(questions)
    ours = both.crest(questions)
    found, answered, refused, points = [], 0, 0, 0
    for (path, parameters), mine, other in zip(questions, ours, theirs):
        is_ordered = path == "query" and parameters["query"].startswith(("sort", "topk(", "bottomk("))
        problem = difference(mine, other, is_ordered)
        if problem:
            found.append(f"{parameters}\n  {problem}")
        if other["status"] == "error":
            refused += 1
        elif other["data"]["resultType"] in ("vector", "matrix"):
            answered += 1
            points += sum(len(series.get("values", [0])) for series in other["data"]["result"])
    print(f"{len(expressions)} expressions, {answered} answers with {points} points, {refused} refused, seed {SEED}")
    return found, answered, refused, points


def test_expressions_by_hand(both):
    found, answered, _, points = differences(both, GOOD)
    assert not found, f"{len(found)} differ, seed {SEED}:\n" + "\n".join(found[:20])
    assert len(GOOD) > 150 and answered > 600 and points > 20_000


def test_generated_expressions(both):
    found, answered, _, points = differences(both, generated(SEED))
    assert not found, f"{len(found)} differ, seed {SEED}:\n" + "\n".join(found[:20])
    assert answered > 500 and points > 20_000


def test_bad_expressions_get_the_same_type_of_error(both):
    found, answered, refused, _ = differences(both, BAD)
    assert not found, f"{len(found)} differ:\n" + "\n".join(found[:20])
    assert refused >= len(BAD)


def test_what_is_not_supported_is_named(both):
    for expression, word in UNSUPPORTED.items():
        question = ("query", {"query": expression, "time": TIMES[0]})
        assert both.prometheus([question])[0]["status"] == "success", expression
        reply = both.crest([question])[0]
        assert reply["status"] == "error" and reply["errorType"] == "bad_data", expression
        assert word in reply["error"], reply


@pytest.mark.parametrize("path, parameters", [
    ("query", {"query": "1", "time": "yesterday"}),
    ("query", {"query": "1", "time": "2023-11-14T23:00:00Z"}),
    ("query", {"query": "1", "time": "2023-11-14T23:00:00.5+01:00"}),
    ("query", {}),
    ("query_range", {"query": "1", "start": START, "end": END}),
    ("query_range", {"query": "1", "start": START, "step": 1}),
    ("query_range", {"query": "1", "start": END, "end": START, "step": 1}),
    ("query_range", {"query": "1", "start": START, "end": END, "step": 0}),
    ("query_range", {"query": "1", "start": START, "end": END, "step": -1}),
    ("query_range", {"query": "1", "start": START, "end": END, "step": "1x"}),
    ("query_range", {"query": "1", "start": START, "end": END, "step": "1m30s"}),
    ("query_range", {"query": "1", "start": START, "end": START + 11_000, "step": 1}),
    ("query_range", {"query": "1", "start": START, "end": START + 11_001, "step": 1}),
    ("query_range", {"query": "temperature[5m]", "start": START, "end": END, "step": 60}),
    ("query_range", {"query": '"text"', "start": START, "end": END, "step": 60}),
    ("labels", {}),
    ("labels", {"match[]": "temperature"}),
    ("labels", {"match[]": ["temperature", "build_info"], "start": START, "end": END}),
    ("labels", {"match[]": "temperature["}),
    ("series", {}),
    ("series", {"match[]": "1 + 1"}),
    ("series", {"match[]": "{}"}),
])
def test_parameters(both, path, parameters):
    theirs = both.session.get(f"{both.root}/api/v1/{path}", params=parameters, timeout=10)
    form = urllib.parse.urlencode(parameters, doseq=True)
    ours = both.crest_lines([f"GET /prometheus/api/v1/{path}?{form}"])[0]
    if path.startswith("query"):
        assert difference(ours, theirs.json()) is None
        return
    theirs = theirs.json()
    assert (ours["status"], ours.get("errorType")) == (theirs["status"], theirs.get("errorType"))
    assert ours.get("data") == theirs.get("data")


@pytest.mark.parametrize("path", [
    "label/room/values", "label/__name__/values", "label/nothing/values", "label/job/values?match[]=build_info",
    "label/1x/values", "series?match[]=temperature&match[]={job=\"api\",code=\"200\"}",
    f"series?match[]=single&start={START}&end={START + 60}", f"label/version/values?start={START}&end={END}",
])
def test_labels_and_series(both, path):
    path = path.replace("[", "%5B").replace("]", "%5D")
    theirs = both.session.get(f"{both.root}/api/v1/{path}", timeout=10).json()
    quoted = path.replace('"', "%22").replace("{", "%7B").replace("}", "%7D")
    ours = both.crest_lines([f"GET /prometheus/api/v1/{quoted}"])[0]
    assert (ours["status"], ours.get("errorType")) == (theirs["status"], theirs.get("errorType"))
    if path.startswith("series"):
        key = lambda labels: sorted(labels.items())
        assert sorted(ours["data"], key=key) == sorted(theirs["data"], key=key)
    else:
        assert ours.get("data") == theirs.get("data")


def test_what_grafana_asks_first(both):
    lines = ["GET /prometheus/api/v1/status/buildinfo", "GET /prometheus/api/v1/metadata?limit=10",
             "POST /prometheus/api/v1/query query=1%2B1&time=" + str(START), "GET /prometheus/api/v1/unknown"]
    build, metadata, one, unknown = both.crest_lines(lines)
    assert build["status"] == "success" and build["data"]["version"].startswith("2.")
    assert metadata == {"status": "success", "data": {}}
    assert one["data"] == {"resultType": "scalar", "result": [START, "2"]}
    assert unknown["status"] == "error" and unknown["errorType"] == "not_found"
