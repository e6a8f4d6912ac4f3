"""What the machine does to the process: other users, time zones, a pause, the environment, what is in the binary."""
import datetime
import os
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest

import otlp
from daemon import BIN, Daemon, eventually
from test_access import authority, tokens  # noqa: F401
from test_statsd import send

NOBODY = 65_534


def as_nobody(*command, **options):
    """Another user than the one whose files these are; for who is not root, himself."""
    prefix = []
    if os.geteuid() == 0:
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return subprocess.run([*prefix, *map(str, command)], capture_output=True, text=True, timeout=20, **options)


@pytest.fixture
def program(tmp_path):
    """crestd where every user finds it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(BIN / "crestd", folder / "crestd")
    for path in [folder, *folder.parents][:-2]:
        if path.stat().st_uid == os.geteuid():
            path.chmod(path.stat().st_mode | 0o055 if path.is_dir() else 0o755)
    (folder / "crestd").chmod(0o755)
    return folder / "crestd"


OFF = [f"--{name}=off" for name in Daemon.LISTENERS if name != "http"] + ["--http=127.0.0.1:0"]


def test_a_directory_of_another_user(program, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir(mode=0o700 if os.geteuid() == 0 else 0o500)
    mine.chmod(0o700 if os.geteuid() == 0 else 0o500)
    for directory in (mine, mine / "below"):
        refused = as_nobody(program, "--data-dir", directory, *OFF)
        assert refused.returncode == 77, (refused.returncode, refused.stderr)
        assert str(directory) in refused.stderr and "EACCES" in refused.stderr
        assert "ready" not in refused.stdout
    if os.geteuid() == 0:
        assert f"user {NOBODY}" in refused.stderr
    mine.chmod(0o700)
    assert list(mine.iterdir()) == []


def test_files_of_another_user_in_an_open_directory(program, tmp_path):
    """After an upgrade that ran as root: the directory is open to all, what is in it is not."""
    if os.geteuid() != 0:
        program = program  # The same user: the mode of the file alone stands in the way.
    folder = tmp_path / "data"
    daemon = Daemon(folder)
    otlp.export(daemon, otlp.request(1, seed=71)[0])
    assert daemon.stop() == 0
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o400 if os.geteuid() != 0 else 0o600)
    folder.chmod(0o777)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    refused = as_nobody(program, "--data-dir", folder, *OFF)
    assert refused.returncode == 77, (refused.returncode, refused.stderr)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def test_what_it_makes_is_for_its_user_alone(tmp_path):
    old = os.umask(0)
    try:
        daemon = Daemon(tmp_path / "deep" / "data")
    finally:
        os.umask(old)
    otlp.export(daemon, otlp.request(3, seed=72)[0])
    assert daemon.post("/api/crest/v1/snapshots").status_code < 300
    eventually(lambda: any((tmp_path / "deep/data/metrics").iterdir()))
    assert daemon.stop() == 0
    paths = [tmp_path / "deep", *(tmp_path / "deep").rglob("*")]
    assert len(paths) > 8
    for path in paths:
        mode = stat.S_IMODE(path.lstat().st_mode)
        assert mode & 0o077 == 0, f"{path} {mode:o}"


def test_a_known_seed_of_hashing_is_refused(tmp_path):
    refused = subprocess.run(
        [BIN / "crestd", "--data-dir", tmp_path / "d", *OFF], capture_output=True, text=True, timeout=20,
        env={**os.environ, "SWIFT_DETERMINISTIC_HASHING": "1"})
    assert refused.returncode == 78 and "SWIFT_DETERMINISTIC_HASHING" in refused.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("name", ["crestd", "crest", "promo-shop"])
def test_no_switch_for_faults_is_built_in(name):
    binary = (BIN / name).read_bytes()
    for word in (b"FAILPOINT", b"failpoint", b"FaultyDisk", b"SimulatedDisk", b"ManualClock", b"TestKit", b"LD_PRELOAD"):
        assert word not in binary, word
    # Nothing starts another program, and nothing is loaded while it runs.
    symbols = subprocess.run(["nm", "-D", "--undefined-only", BIN / name], capture_output=True, text=True).stdout
    wanted = {line.split()[-1].split("@")[0] for line in symbols.splitlines() if line.strip()}
    if name == "crestd":
        assert not wanted & {"system", "popen", "execl", "execlp", "execvp"}, wanted & {"system", "popen"}


ZONES = ["America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia", "XYZ+23:59:59", "nonsense", ":/etc/passwd"]


def test_every_time_is_utc_whatever_the_zone(tmp_path):
    base = time.time_ns() - 10**9
    message, (trace_id,) = otlp.request(1, 2, seed=73, base=base)
    shown = None
    for zone in ZONES:
        daemon = Daemon(tmp_path / "data", environment={"TZ": zone})
        if shown is None:
            assert otlp.export(daemon, message).status_code == 200
            reply = daemon.post("/api/crest/v1/snapshots")
            made = re.search(r"\d{8}T\d{6}\.\d{3}Z", reply.text).group()
            then = datetime.datetime.strptime(made, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=datetime.timezone.utc)
            assert abs(then.timestamp() - time.time()) < 5
        page = daemon.get(f"/api/crest/v1/traces/{trace_id.hex()}").text
        shown = shown or page
        assert page == shown, zone
        window = f"start={base // 10**9 - 60}&end={base // 10**9 + 60}"
        assert trace_id.hex() in daemon.get(f"/api/crest/v1/search?{window}").text
        moment = datetime.datetime.fromtimestamp(base // 10**9 - 60, datetime.timezone.utc).isoformat()
        assert trace_id.hex() in daemon.get("/api/crest/v1/search", params={"start": moment}).text
        assert daemon.stop() == 0
        stamps = [re.match(r"(\S+Z) ", line) for line in daemon.log]
        assert stamps and all(stamps)
        for stamp in stamps:
            moment = datetime.datetime.fromisoformat(stamp.group(1).replace("Z", "+00:00"))
            assert abs(moment.timestamp() - time.time()) < 60, (zone, stamp.group(1))


def test_a_pause_is_no_burst(daemon):
    """SIGSTOP and SIGCONT: what came meanwhile is taken, every timer is looked at once, nobody is thrown out."""
    message, (trace_id,) = otlp.request(1, 2, seed=74)
    assert otlp.export(daemon, message).status_code == 200
    send(daemon, "paused:1|c")
    eventually(lambda: "paused_total 1" in daemon.get("/metrics").text)
    host, port = daemon.address["http"].rsplit(":", 1)
    kept = socket.create_connection((host, int(port)), timeout=20)
    kept.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert kept.recv(4096).startswith(b"HTTP/1.1 200 ")
    before = daemon.cpu_seconds()
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        for _ in range(500):
            send(daemon, "paused:1|c")
        waiting = threading.Thread(target=lambda: otlp.export(daemon, otlp.request(1, seed=75)[0]))
        waiting.start()
        time.sleep(5)
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    kept.sendall(b"GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert kept.recv(4096).startswith(b"HTTP/1.1 200 "), "a kept connection is still good"
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    eventually(lambda: "paused_total 501" in daemon.get("/metrics").text, seconds=5)
    assert time.monotonic() - began < 5
    assert daemon.cpu_seconds() - before < 1
    text = daemon.get("/metrics").text
    assert "crest_windows_dropped_total 0" in text
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(daemon.ledger()))
    assert ledger["spans"]["store"]["expired"] == 0 and ledger["datagrams"]["droppedByKernel"] == 0
    # The seconds of the pause are no seconds of data: one holds all that came.
    assert daemon.get(f"/api/traces/{trace_id.hex()}").status_code == 200
    assert daemon.stop() == 0


def test_handshakes_end_within_ten_seconds(tmp_path, tokens, authority):
    daemon = Daemon(
        tmp_path / "data", f"--tokens-file={tokens}", f"--tls-cert={authority / 'server.pem'}",
        f"--tls-key={authority / 'server.key'}")
    results = {}

    def attack(name, listener, first, rest):
        host, port = daemon.address[listener].rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            began = time.monotonic()
            connection.sendall(first)
            try:
                connection.settimeout(1)
                while True:
                    try:
                        if not connection.recv(4096):
                            break
                    except TimeoutError:
                        connection.sendall(rest)
            except OSError:
                pass
            results[name] = time.monotonic() - began

    # The beginning of a handshake whose end never comes, whole at once or byte by byte.
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    attacks = [("silent", b"", b""), ("begun", hello, b""), ("slow", hello, b"\x00")]
    threads = [threading.Thread(target=attack, args=(f"{name} {listener}", listener, first, rest))
               for name, first, rest in attacks for listener in ("http", "otlp-grpc")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(results) == 6 and all(8 < seconds < 14 for seconds in results.values()), results
    # Who shakes hands meanwhile is served; and no data comes before the handshake is done.
    shown = subprocess.run(
        ["openssl", "s_client", "-connect", daemon.address["http"], "-tls1_3", "-CAfile", authority / "ca.pem",
         "-quiet", "-no_ign_eof"], input="GET /-/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        capture_output=True, text=True, timeout=20)
    assert "HTTP/1.1 200" in shown.stdout or shown.returncode == 0
    session = subprocess.run(
        ["openssl", "s_client", "-connect", daemon.address["http"], "-tls1_3", "-CAfile", authority / "ca.pem"],
        input="", capture_output=True, text=True, timeout=20).stdout
    assert "Max Early Data: 0" in session or "Max Early Data" not in session
    context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
    with socket.create_connection(daemon.address["http"].rsplit(":", 1), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer crst_scrape\r\n\r\n")
            text = b""
            while b"crest_tls_handshake_failures_total{reason=\"timeout\"}" not in text:
                text += connection.recv(65536)
    assert daemon.stop() == 0
