"""A real disk that fills up: 503 for spans, reads and deletions go on, and spans are taken again when there is room."""
import contextlib
import os
import resource
import shutil
import subprocess
import time

import otlp
import requests
from daemon import Daemon, eventually

MEBIBYTE = 1 << 20


@contextlib.contextmanager
def small_disk(folder, mebibytes):
    """A file system of its own: tmpfs where mounting is allowed, else a loop device, else an ordinary directory with
    a limit on the size of files instead. Yields (path, what it is)."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(folder)],
                      capture_output=True).returncode == 0:
        try:
            yield folder, "tmpfs"
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        return
    image = folder.with_suffix(".img")
    with open(image, "wb") as file:
        file.truncate(mebibytes * MEBIBYTE)
    if (shutil.which("mkfs.ext4")
            and subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], capture_output=True).returncode == 0
            and subprocess.run(["mount", "-o", "loop", str(image), str(folder)], capture_output=True).returncode == 0):
        try:
            yield folder, "loop"
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=False)
        return
    yield folder, "file size limit"


class Filler:
    """Sends requests one after another and remembers what was acknowledged."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.number = 0
        self.acknowledged = {}
        self.refused = 0

    def send(self):
        self.number += 1
        # Random text does not compress: the disk fills soon.
        message, ids = otlp.request(10, 2, seed=self.number, resource={"noise": os.urandom(48 << 10).hex()})
        reply = otlp.export(self.daemon, message)
        if reply.status_code == 200:
            for trace_id in ids:
                self.acknowledged[trace_id] = 2
        else:
            assert reply.status_code == 503, reply.text
            assert int(reply.headers["retry-after"]) >= 1
            self.refused += 1
        return reply.status_code

    def until_refused(self, seconds=90):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.send() == 503 and self.is_read_only():
                return
        raise AssertionError(f"no 503 after {self.number} requests")

    def is_read_only(self):
        return any("read-only" in warning for warning in self.daemon.json("/api/crest/v1/status")["warnings"])

    def missing(self, step=1):
        """Acknowledged traces that are not whole; of every `step`th."""
        gone = []
        session = requests.Session()
        for trace_id, spans in list(self.acknowledged.items())[::step]:
            reply = session.get(self.daemon.url(f"/api/traces/{trace_id.hex()}"), timeout=20)
            found = reply.text.count('"spanID"') - reply.text.count('"refType"') if reply.status_code == 200 else 0
            if found != spans:
                gone.append(trace_id.hex())
        return gone


def disk_level(daemon):
    for line in daemon.get("/metrics").text.splitlines():
        if line.startswith("crest_disk_level "):
            return float(line.split()[1])
    raise AssertionError("no crest_disk_level")


def test_spans_are_refused_then_taken_again(tmp_path):
    with small_disk(tmp_path / "disk", 64) as (folder, kind):
        print(f"the small disk is a {kind}")
        if kind == "file size limit":
            limit_the_size_of_files(folder)
        else:
            fill_and_free(folder)


def test_a_log_that_may_not_grow(tmp_path):
    limit_the_size_of_files(tmp_path)


def fill_and_free(folder):
    daemon = Daemon(folder / "data", "--retention-bytes=1TB")
    filler = Filler(daemon)
    filler.send()
    # Another program takes most of the disk; what is left is between the watermarks of 64 MiB.
    foreign = folder / "foreign"
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with open(foreign, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - 5 * MEBIBYTE)
    eventually(lambda: disk_level(daemon) == 1)
    assert any("bytes are free" in warning for warning in daemon.json("/api/crest/v1/status")["warnings"])
    filler.until_refused()
    assert disk_level(daemon) >= 1
    unready = daemon.get("/-/ready")
    assert unready.status_code == 503 and unready.text.startswith("read-only: ")
    assert not filler.missing(step=7), "reads go on"
    assert daemon.ledger()["balanced"] is True

    victim = next(iter(filler.acknowledged))
    reply = delete(daemon, victim)
    assert reply.status_code == 200, reply.text
    del filler.acknowledged[victim]
    assert daemon.get(f"/api/traces/{victim.hex()}").status_code == 404

    daemon.kill()
    daemon.start()
    assert not filler.missing(), "a restart on the full disk"
    assert daemon.ledger()["balanced"] is True

    foreign.unlink()
    eventually(lambda: filler.send() == 200)
    eventually(lambda: disk_level(daemon) == 0)
    assert daemon.get("/-/ready").status_code == 200
    ledger = daemon.ledger()
    assert ledger["balanced"] is True and ledger["spans"]["store"]["lost"] == 0, ledger

    # Now to the very last byte, past the watermark.
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with open(foreign, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free)
    filler.until_refused()
    assert not filler.missing(step=7)
    victim = next(iter(filler.acknowledged))
    reply = delete(daemon, victim)
    assert reply.status_code == 200, f"the ballast makes room: {reply.text}"
    del filler.acknowledged[victim]
    foreign.unlink()
    eventually(lambda: filler.send() == 200)
    assert daemon.stop() == 0
    daemon.start()
    assert not filler.missing()
    ledger = daemon.ledger()
    assert ledger["balanced"] is True and ledger["spans"]["store"]["lost"] == 0, ledger
    assert daemon.stop() == 0


def limit_the_size_of_files(folder):
    """Without a file system of our own: the log may not grow beyond a limit (EFBIG in place of ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    daemon = Daemon(folder / "data")
    filler = Filler(daemon)
    filler.send()
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (64 << 10, before[1]))
    while filler.send() == 200:
        assert filler.number < 1_000
    assert not filler.missing()
    assert daemon.ledger()["balanced"] is True
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, before)
    eventually(lambda: filler.send() == 200)
    assert not filler.missing()
    assert daemon.ledger()["balanced"] is True
    assert daemon.stop() == 0


def delete(daemon, trace_id):
    return requests.delete(daemon.url(f"/api/crest/v1/traces/{trace_id.hex()}"), timeout=20)
