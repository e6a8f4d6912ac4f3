"""A directory damaged after kill -9, salvaged by the real command, and the daemon started on the result."""
import json
import random

import otlp
from daemon import ROOT, Daemon, crest
from test_crash import spans_of
from test_store import connection


def damage(path, offset, count):
    """What dd with conv=notrunc does."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(offset).randbytes(count))


def filled(tmp_path):
    """A directory with two segments and some hundred spans in the log, as kill -9 leaves it."""
    data = tmp_path / "data"
    daemon = Daemon(data)
    acknowledged = []
    for number in range(3):
        for request in range(20):
            body, ids = otlp.request(10, 3, seed=1_000 * number + request)
            assert otlp.export(daemon, body).status_code == 200
            acknowledged += ids
        if number < 2:
            assert daemon.post("/api/crest/v1/snapshots").status_code == 201  # seals what is in memory
    daemon.kill()
    return data, acknowledged


def image(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def salvage(data, target):
    before = image(data)
    result = crest("store", "salvage", str(data), "--to", str(target), "-o", "json")
    assert image(data) == before, "the damaged directory was changed"
    return result.returncode, json.loads(result.stdout), result.stderr


def start(target, acknowledged, report):
    assert crest("store", "verify", str(target)).returncode == 0
    daemon = Daemon(target)
    link = connection(daemon)
    found = sum(spans_of(daemon, link, trace_id) for trace_id in acknowledged)
    assert found + report["lostSpans"] == 3 * len(acknowledged)
    terms = daemon.ledger()
    assert terms["balanced"] is True and terms["spans"]["store"]["lost"] == report["lostSpans"], terms
    assert terms["spans"]["store"]["live"] == found == report["segmentSpans"] + report["walSpans"]
    assert otlp.export(daemon, otlp.request(1, 1, seed=9)[0]).status_code == 200
    assert daemon.stop() == 0


def test_an_undamaged_directory_comes_out_whole(tmp_path):
    data, acknowledged = filled(tmp_path)
    code, report, _ = salvage(data, tmp_path / "new")
    assert code == 0 and report["complete"] is True and report["lost"] == []
    assert report["wholeSegments"] == 2 and report["segmentSpans"] == 1200 and report["walSpans"] == 600
    start(tmp_path / "new", acknowledged, report)


def test_a_damaged_directory_gives_what_is_left(tmp_path):
    data, acknowledged = filled(tmp_path)
    segments = sorted((data / "segments").iterdir())
    wal = max((data / "wal").iterdir(), key=lambda path: path.stat().st_size)
    (data / "MANIFEST").unlink()
    damage(segments[0], segments[0].stat().st_size // 3, 16)
    damage(wal, wal.stat().st_size // 2, 40)

    trial = crest("store", "salvage", str(data), "--dry-run", "-o", "json")
    assert trial.returncode == 1
    code, report, message = salvage(data, tmp_path / "new")
    assert code == 1 and "spans lost" in message and json.loads(trial.stdout) == report
    lost = {loss["file"]: loss for loss in report["lost"]}
    assert set(lost) == {f"segments/{segments[0].name}", f"wal/{wal.name}"}, report
    block = lost[f"segments/{segments[0].name}"]
    assert block["block"] == 0 and block["firstByte"] <= segments[0].stat().st_size // 3 < block["endByte"]
    assert block["earliestStart"] <= block["latestStart"]
    group = lost[f"wal/{wal.name}"]
    assert group["firstByte"] <= wal.stat().st_size // 2 < group["endByte"]
    assert 0 < group["spans"] <= 60 and group["firstSequence"] <= group["lastSequence"]
    assert report["lostSpans"] == block["spans"] + group["spans"]
    assert [note["file"] for note in report["notes"]] == ["MANIFEST"]
    start(tmp_path / "new", acknowledged, report)

    text = crest("store", "salvage", str(data), "--dry-run")
    assert text.stdout.count("LOST") == 2 and f"{report['lostSpans']} spans lost in 2 places" in text.stdout


def test_inspect(tmp_path):
    data, _ = filled(tmp_path)
    facts = json.loads(crest("store", "inspect", str(data), "--columns", "-o", "json").stdout)
    assert facts["kind"] == "directory" and len(facts["segments"]) == 2 and facts["manifest"]["live"] == 1200
    assert sum(file["spans"] for file in facts["wal"]) == 600
    assert sum(column["bytes"] for column in facts["columns"]) == sum(row["bytes"] for row in facts["segments"])
    spans = next(column for column in facts["columns"] if column["column"] == "span id")
    assert 7 < float(spans["bytesPerSpan"]) < 9 and spans["floorBytes"] <= spans["bytes"]
    table = crest("store", "inspect", str(data / facts["segments"][0]["file"])).stdout
    assert "FLOOR PER SPAN" in table and "span id" in table and table.splitlines()[-1].endswith("all")
    for path in [data / "MANIFEST", data / "META", *(data / "wal").iterdir()]:
        assert crest("store", "inspect", str(path)).returncode == 0, path
    assert crest("store", "inspect", str(data / "LOCK")).returncode == 1


def test_usage_and_help(tmp_path):
    daemon = Daemon(tmp_path / "data")
    for command in (["salvage", str(tmp_path / "data"), "--dry-run"], ["inspect", str(tmp_path / "data")]):
        busy = crest("store", *command)
        assert busy.returncode == 1 and "in use" in busy.stderr, command
    assert daemon.stop() == 0
    assert crest("store", "salvage", str(tmp_path / "data")).returncode == 2
    assert crest("store", "salvage", str(tmp_path / "data"), "--to", str(tmp_path / "data" / "x")).returncode == 2
    assert crest("store", "salvage", str(tmp_path), "--dry-run").returncode == 1
    for command in ("salvage", "inspect"):
        text = crest("store", command, "--help").stdout
        assert "stopped" in text and "under load" in text


def schema_bytes(page, name):
    """The worked hex dump of a schemas page."""
    text = (ROOT / "schemas" / "disk" / page).read_text()
    block = text.split(f"```hex {name}\n")[1].split("```")[0]
    return bytes.fromhex("".join(line[6:53] for line in block.splitlines()))


MANIFEST_TEXT = """\
WHAT              VALUE
store             000102030405060708090a0b0c0d0e0f
edition           3
closed in order   no
clock high water  1970-01-01T00:00:00.000Z
next segment      2
sealed sequence   4
segments          1
stored            12
live              10
expired           2
thinned           0
deleted           0
merged            0
quarantined       0
lost              0

SPANS   SIZE  LATEST ARRIVAL            FILE
   10  900 B  1970-01-01T00:00:00.000Z  segments/\
00000000000000000001-00000000000000000004-00000000000000000001.L0.seg
"""

WAL_TEXT = """\
SPANS  RECORDS  GROUPS  WITNESSES   SIZE  SEQUENCES  FIRST COMMIT              LAST COMMIT               WAL FILE
    1        1       1          0  576 B  1-1        1970-01-01T00:00:00.000Z  1970-01-01T00:00:00.000Z  example.wal
"""

TORN_TEXT = """\
SPANS  RECORDS  GROUPS  WITNESSES   SIZE  SEQUENCES  FIRST COMMIT  LAST COMMIT  WAL FILE
    0        0       0          0  576 B  -          -             -            example.wal

DAMAGED BYTES  RECORDS READABLE  THEN             FILE
128..<576                     0  end of the file  example.wal
"""


def test_golden_output(tmp_path):
    manifest = tmp_path / "MANIFEST"
    manifest.write_bytes(schema_bytes("manifest.md", "manifest"))
    assert crest("store", "inspect", str(manifest)).stdout == MANIFEST_TEXT
    wal = tmp_path / "example.wal"
    image = bytearray(schema_bytes("wal.md", "wal"))
    wal.write_bytes(image)
    assert crest("store", "inspect", str(wal)).stdout == WAL_TEXT
    image[300] ^= 1
    wal.write_bytes(image)
    assert crest("store", "inspect", str(wal)).stdout == TORN_TEXT
    assert json.loads(crest("store", "inspect", str(wal), "-o", "json").stdout)["damages"] == [
        {"firstByte": 128, "endByte": 576, "readableRecords": 0, "followed": False}]

    # A manifest that lists a segment which is not there, and a log whose only group is damaged.
    data = tmp_path / "data"
    (data / "wal").mkdir(parents=True)
    (data / "MANIFEST").write_bytes(manifest.read_bytes())
    found = crest("store", "salvage", str(data), "--dry-run")
    assert found.returncode == 1
    assert found.stdout == (
        "LOST    segments/00000000000000000001-00000000000000000004-00000000000000000001.L0.seg bytes 0..<900: "
        "10 spans, records 1-4: open segments/00000000000000000001-00000000000000000004-00000000000000000001.L0.seg: "
        "ENOENT\n"
        "damaged META: missing, made anew\n"
        "0 spans would be saved: 0 from 0 whole and 0 damaged segments, 0 from the WAL; 0 metrics log files\n"
        "10 spans lost in 1 places\n")
    (data / "MANIFEST").unlink()
    (data / "wal" / "00000000000000000001.wal").write_bytes(image)
    found = crest("store", "salvage", str(data), "--dry-run")
    assert found.returncode == 0
    assert found.stdout == (
        "damaged MANIFEST: missing, made anew\n"
        "damaged META: missing, made anew\n"
        "note    wal/00000000000000000001.wal bytes 128..<576: torn end, a group of 1 records: ambiguous, nothing "
        "tells whether it had been acknowledged\n"
        "0 spans would be saved: 0 from 0 whole and 0 damaged segments, 0 from the WAL; 0 metrics log files\n"
        "1 records at the torn end of the WAL are ambiguous\n"
        "nothing was lost\n")
