"""The process itself: ready line, exit codes, signals, configuration, two daemons, idle cost."""
import json
import os
import re
import socket
import subprocess
import time

import pytest

import otlp
from daemon import BIN, Daemon, eventually


def crestd(*arguments, environment=None, timeout=20):
    return subprocess.run([str(BIN / "crestd"), *arguments], capture_output=True, text=True, timeout=timeout,
                          env={**os.environ, **(environment or {})})


def test_ready_line_and_quick_start(daemon):
    assert re.fullmatch(
        r"crestd ready http=127\.0\.0\.1:\d+ otlp-http=127\.0\.0\.1:\d+ otlp-grpc=off zipkin=127\.0\.0\.1:\d+ "
        r"jaeger-http=off jaeger-udp=off statsd=127\.0\.0\.1:\d+ crest-udp=off", daemon.ready_line)
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
        [str(BIN / "crestd"), "--http=127.0.0.1:0", "--otlp-http=off", "--zipkin=off", "--statsd=off",
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
    second = crestd("--data-dir", str(daemon.data_dir), "--http=127.0.0.1:0", "--otlp-http=off", "--zipkin=off",
                    "--statsd=off")
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


def test_unknown_format_is_refused(tmp_path):
    daemon = Daemon(tmp_path / "data")
    message, _ = otlp.request(1)
    assert otlp.export(daemon, message).status_code == 200
    assert daemon.stop() == 0
    manifest = next(path for path in (tmp_path / "data").rglob("*") if "manifest" in path.name.lower())
    raw = bytearray(manifest.read_bytes())
    assert raw
    result_codes = set()
    for version in (0xEE,):
        raw[8] = version
        manifest.write_bytes(raw)
        result_codes.add(crestd("--data-dir", str(tmp_path / "data"), "--http=127.0.0.1:0", "--otlp-http=off",
                                "--zipkin=off", "--statsd=off", timeout=10).returncode)
    assert result_codes <= {78, 74}


def test_sigterm_drains(daemon):
    message, ids = otlp.request(50, 3, seed=21)
    assert otlp.export(daemon, message).status_code == 200
    began = time.monotonic()
    assert daemon.stop() == 0
    assert time.monotonic() - began < 10
    daemon.start()
    for trace_id in ids:
        assert daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 200


def test_sighup_keeps_running(daemon):
    import signal
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: any("reload" in line.lower() for line in daemon.log))
    assert daemon.get("/-/healthy").status_code == 200


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


def test_retention_by_bytes_and_age(tmp_path):
    daemon = Daemon(tmp_path / "data", "--retention-age", "2s")
    message, ids = otlp.request(20, 3, seed=31)
    assert otlp.export(daemon, message).status_code == 200
    assert daemon.stop() == 0
    daemon.start()
    eventually(lambda: daemon.get(f"/api/traces/{ids[0].hex()}").status_code == 404, seconds=20)
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(daemon.ledger()))
    expired = ledger["spans"]["store"]["expired"]
    assert (sum(expired.values()) if isinstance(expired, dict) else expired) == 60
    daemon.stop()
