"""The process itself: ready line, exit codes, signals, configuration, two daemons, idle cost."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import otlp
from daemon import BIN, Daemon, eventually


OTHERS_OFF = [f"--{name}=off" for name in Daemon.LISTENERS if name != "http"]


def crestd(*arguments, environment=None, timeout=20):
    return subprocess.run([str(BIN / "crestd"), *arguments], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})


def test_ready_line_and_quick_start(daemon):
    assert re.fullmatch(
        r"crestd ready http=127\.0\.0\.1:\d+ otlp-http=127\.0\.0\.1:\d+ otlp-grpc=127\.0\.0\.1:\d+ "
        r"zipkin=127\.0\.0\.1:\d+ jaeger-http=127\.0\.0\.1:\d+ jaeger-udp=127\.0\.0\.1:\d+ "
        r"statsd=127\.0\.0\.1:\d+ crest-udp=127\.0\.0\.1:\d+", daemon.ready_line)
    assert daemon.get("/-/ready").status_code == 200 and daemon.get("/-/healthy").status_code == 200
    assert daemon.stop() == 0
    assert daemon.process.stdout.read() == ""


def test_ready_within_300_ms(tmp_path):
    # The best of five: the machine that runs the tests may be busy.
    best = 9
    for number in range(5):
        daemon = Daemon(tmp_path / f"{number}")
        best = min(best, daemon.seconds_to_ready)
        assert daemon.stop() == 0
    assert best < 0.3


def test_json_ready_line(tmp_path):
    process = subprocess.Popen(
        [str(BIN / "crestd"), "--http=127.0.0.1:0", *OTHERS_OFF,
         "--data-dir", str(tmp_path / "d"), "--log-format", "json"], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL)
    ready = json.loads(process.stdout.readline())
    assert ready["event"] == "crestd ready"
    assert ready["listeners"]["statsd"] == "off" and ready["listeners"]["http"].startswith("127.0.0.1:")
    process.terminate()
    assert process.wait(15) == 0


def test_exit_codes(daemon, tmp_path):
    assert crestd("--no-such-flag").returncode == 2
    assert crestd("--durability", "perhaps").returncode in (2, 78)
    second = crestd("--data-dir", str(daemon.data_dir), "--http=127.0.0.1:0", *OTHERS_OFF)
    assert second.returncode == 73 and "in use" in second.stderr
    taken = crestd("--data-dir", str(tmp_path / "other"), "--http", daemon.address["http"])
    assert taken.returncode == 1
    assert "--http" in taken.stderr and daemon.address["http"].rsplit(":", 1)[1] in taken.stderr
    version = crestd("--version")
    assert version.returncode == 0 and version.stdout.startswith("crestd ")
    assert "EXAMPLES" in crestd("--help").stdout.upper()


def test_configuration_file(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("statsd: off\nhttp: 127.0.0.1:0\nretention-age: 3d\n")
    assert crestd("--config", str(config), "--check-config").returncode == 0
    printed = crestd("--config", str(config), "--print-config", environment={"CREST_ZIPKIN": "off"}).stdout
    assert "statsd: off" in printed.replace('"', "") and "zipkin: off" in printed.replace('"', "")
    config.write_text("http: 127.0.0.1:0\nretention-agee: 3d\n")
    bad = crestd("--config", str(config), "--check-config")
    assert bad.returncode == 78
    assert "retention-agee" in bad.stderr and ":2" in bad.stderr.replace("line 2", ":2")
    assert "retention-age" in bad.stderr
    assert crestd("--config", str(tmp_path / "missing.yaml"), "--check-config").returncode == 78


def test_a_wide_bind_is_refused_without_tls(tmp_path):
    refused = crestd("--http", "0.0.0.0:0", "--data-dir", str(tmp_path / "d"))
    assert refused.returncode == 78 and "TLS" in refused.stderr


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


def test_a_newer_format_on_disk_is_refused(tmp_path):
    """META says major version 9 (schemas/disk/manifest.md); its checksum is right, so it is no damage."""
    daemon = Daemon(tmp_path / "data")
    assert daemon.stop() == 0
    meta = tmp_path / "data" / "META"
    raw = bytearray(meta.read_bytes())
    raw[8:10] = (9).to_bytes(2, "little")
    raw[60:64] = crc32c(raw[:60]).to_bytes(4, "little")
    meta.write_bytes(raw)
    refused = crestd("--data-dir", str(tmp_path / "data"), "--http=127.0.0.1:0", *OTHERS_OFF)
    assert refused.returncode == 78 and "META" in refused.stderr and "9" in refused.stderr, refused.stderr
    assert meta.read_bytes() == raw


def test_sigterm_drains(daemon):
    message, ids = otlp.request(50, 3, seed=21)
    assert otlp.export(daemon, message).status_code == 200
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    daemon.start()
    for trace_id in ids:
        assert daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 200


def test_sighup_applies_retention_and_keeps_the_old_on_an_error(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("retention-age: 1h\n")
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    message, ids = otlp.request(5, 3, seed=22)
    assert otlp.export(daemon, message).status_code == 200
    config.write_text("retention-age: soon\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("not reloaded" in line for line in daemon.log))
    config.write_text("retention-age: 2s\n")
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: daemon.get(f"/api/traces/{ids[0].hex()}").status_code == 404, seconds=13)
    assert daemon.stop() == 0


def test_systemd_notify(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(path))
        receiver.settimeout(10)
        daemon = Daemon(tmp_path / "data", environment={"NOTIFY_SOCKET": str(path)})
        assert b"READY=1" in receiver.recv(200)
        assert daemon.stop() == 0
        assert b"STOPPING=1" in receiver.recv(200)


def test_idle_cost(daemon):
    time.sleep(1)
    before, began = daemon.cpu_seconds(), time.monotonic()
    time.sleep(10)
    share = (daemon.cpu_seconds() - before) / (time.monotonic() - began)
    assert share < 0.005, f"{share:.2%} of a core"
    assert daemon.rss_bytes() < 40e6, f"{daemon.rss_bytes() / 1e6:.1f} MB"


@pytest.mark.parametrize("restarts", [True, False], ids=["sealed", "in the head"])
def test_retention_by_age(tmp_path, restarts):
    daemon = Daemon(tmp_path / "data", "--retention-age", "2s")
    message, ids = otlp.request(20, 3, seed=31)
    assert otlp.export(daemon, message).status_code == 200
    if restarts:
        assert daemon.stop() == 0
        daemon.start()
    eventually(lambda: daemon.get(f"/api/traces/{ids[0].hex()}").status_code == 404, seconds=13)
    assert daemon.json("/api/crest/v1/search")["traces"] == []
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(daemon.ledger()))
    assert ledger["spans"]["store"]["expired"] == 60 and ledger["spans"]["store"]["live"] == 0
    assert daemon.stop() == 0


def test_retention_by_bytes(tmp_path):
    daemon = Daemon(tmp_path / "data", "--retention-bytes", "30000")
    stored = 0
    for part in range(8):
        message, ids = otlp.request(200, 3, seed=40 + part)
        assert otlp.export(daemon, message).status_code == 200
        stored += 600
        assert daemon.stop() == 0
        daemon.start()
    ledger = eventually(lambda: (lambda l: l if l["spans"]["store"]["expired"] > 0 else None)(daemon.ledger()), 13)
    assert ledger["balanced"] and ledger["spans"]["stored"] == stored
    assert daemon.get(f"/api/traces/{ids[0].hex()}").status_code == 200, "the newest stays"
    assert daemon.stop() == 0
