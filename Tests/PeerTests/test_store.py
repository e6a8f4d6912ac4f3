"""Snapshots under load, restored and started; verification and listing of a directory; the exit codes of both."""
import http.client
import json
from pathlib import Path

import otlp
from daemon import Daemon, crest, eventually
from test_crash import Sender, spans_of


def connection(daemon):
    host, port = daemon.address["http"].rsplit(":", 1)
    return http.client.HTTPConnection(host, int(port), timeout=10)


def test_a_snapshot_under_load_is_the_acknowledged_prefix(tmp_path):
    daemon = Daemon(tmp_path / "data")
    senders = [Sender(daemon, 77 + number) for number in range(3)]
    for sender in senders:
        sender.start()
    snapshots = []
    for _ in range(3):
        eventually(lambda: all(len(sender.acknowledged) > 40 * (len(snapshots) + 1) for sender in senders))
        before = [trace_id for sender in senders for trace_id in list(sender.acknowledged)]
        reply = daemon.post("/api/crest/v1/snapshots")
        assert reply.status_code == 201, reply.text
        snapshots.append((before, reply.json()))
    daemon.kill()
    for sender in senders:
        sender.join()
    daemon.start()
    listed = daemon.json("/api/crest/v1/snapshots")["snapshots"]
    assert listed == [facts for _, facts in snapshots]
    assert daemon.stop() == 0
    for number, (before, facts) in enumerate(snapshots):
        restored = tmp_path / f"restored-{number}"
        result = crest("store", "restore", facts["path"], "--to", str(restored))
        assert result.returncode == 0, result.stderr
        assert crest("store", "verify", str(restored)).returncode == 0
        copy = Daemon(restored)
        link = connection(copy)
        missing = [trace_id.hex() for trace_id in before if spans_of(copy, link, trace_id) != 3]
        assert not missing, f"snapshot {number}: {len(missing)} of {len(before)} missing: {missing[:5]}"
        ledger = copy.ledger()
        assert ledger["balanced"] is True and ledger["spans"]["store"]["live"] == facts["spans"], ledger
        assert ledger["spans"]["store"]["lost"] == 0
        assert otlp.export(copy, otlp.request(1, 1, seed=number)[0]).status_code == 200
        assert copy.stop() == 0


def test_snapshots_share_what_has_not_changed(daemon):
    otlp.export(daemon, otlp.request(200, 5, seed=1)[0])
    first = json.loads(crest("store", "snapshot", "-o", "json", server=daemon.url("")).stdout)
    second = json.loads(crest("store", "snapshot", "-o", "json", server=daemon.url("")).stdout)
    assert first["spans"] == second["spans"] == 1000 and first["id"] != second["id"]
    files = [sorted((Path(facts["path"]) / "segments").iterdir()) for facts in (first, second)]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    assert [path.stat().st_ino for path in files[0]] == [path.stat().st_ino for path in files[1]]
    table = crest("store", "snapshot", "--list", server=daemon.url(""))
    assert first["id"] in table.stdout and second["id"] in table.stdout


def test_old_snapshots_go(tmp_path):
    daemon = Daemon(tmp_path / "data", "--snapshot-age=1ms")
    otlp.export(daemon, otlp.request(5, 2)[0])
    assert daemon.post("/api/crest/v1/snapshots").status_code == 201
    assert daemon.stop() == 0
    daemon.start()
    eventually(lambda: daemon.json("/api/crest/v1/snapshots")["snapshots"] == [])
    assert daemon.stop() == 0


def test_a_stopped_directory(tmp_path):
    data = tmp_path / "data"
    daemon = Daemon(data)
    otlp.export(daemon, otlp.request(20, 4, seed=3)[0])
    for command in (["verify", str(data)], ["ls", str(data)], ["snapshot", "--data-dir", str(data)]):
        busy = crest("store", *command)
        assert busy.returncode == 1 and "in use" in busy.stderr, command
    daemon.kill()
    assert crest("store", "verify", str(data)).returncode == 0
    made = crest("store", "snapshot", "--data-dir", str(data), "-o", "json")
    assert made.returncode == 0, made.stderr
    facts = json.loads(made.stdout)
    assert facts["spans"] == 80
    rows = json.loads(crest("store", "ls", str(data), "-o", "json").stdout)
    assert sum(row["spans"] for row in rows) == 80 and rows[0]["level"] == 0 and rows[0]["traces"] == 20
    assert rows[0]["class"] == "mixed" and rows[0]["halvings"] == 0
    listed = crest("store", "ls", facts["path"])
    assert "LEVEL" in listed.stdout and "mixed" in listed.stdout
    assert "snapshots alone" not in crest("store", "ls", str(data)).stderr
    used = crest("store", "restore", facts["path"], "--to", str(data))
    assert used.returncode == 1 and "not empty" in used.stderr
    assert crest("store", "restore", str(tmp_path), "--to", str(tmp_path / "x")).returncode == 1

    segment = data / rows[0]["file"]
    image = bytearray(segment.read_bytes())
    offset = len(image) // 3
    image[offset] ^= 1
    segment.unlink()  # the snapshot keeps its own name for the same bytes
    assert "snapshots alone hold" in crest("store", "ls", str(data)).stderr
    segment.write_bytes(image)
    found = crest("store", "verify", str(data), "-o", "json")
    assert found.returncode == 1
    damage = [finding for finding in json.loads(found.stdout)["findings"] if finding["damaged"]]
    assert [finding["file"] for finding in damage] == [rows[0]["file"]]
    assert damage[0]["block"] == 0 and damage[0]["firstByte"] <= offset < damage[0]["endByte"]
    assert crest("store", "verify", facts["path"]).returncode == 0


def test_help_says_where_each_works():
    assert "running daemon" in crest("store", "snapshot", "--help").stdout
    for command in ("verify", "ls"):
        assert "stopped directory" in crest("store", command, "--help").stdout
    assert "running daemon is not disturbed" in crest("store", "restore", "--help").stdout
