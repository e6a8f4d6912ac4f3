"""Far more than the memory there is: in a control group of 128 MiB crestd refuses and lives; where an allocation fails it
dies, and in either case nothing acknowledged is lost."""
import contextlib
import gzip
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import flood
from daemon import Daemon, eventually

SECONDS = int(os.environ.get("CREST_FLOOD_SECONDS", "600" if os.environ.get("CREST_FULL") == "1" else "10"))
GROUP_BYTES = 128 << 20
LIMIT_BYTES = GROUP_BYTES // 100 * 60
PROCESSES, CONNECTIONS = 3, 60


class MemoryGroup:
    """A control group of version 1 or 2 with a limit of memory, below our own or below the root."""

    def __init__(self, folder, is_v2):
        self.folder, self.is_v2 = folder, is_v2

    @classmethod
    def make(cls, limit):
        """Nil where the machine lets us make none."""
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            is_v2 = number == "0" and controllers == ""
            if not is_v2 and "memory" not in controllers.split(","):
                continue
            root = Path("/sys/fs/cgroup" if is_v2 else "/sys/fs/cgroup/memory")
            for parent in dict.fromkeys((root / path.lstrip("/"), root)):
                group = cls(parent / f"crest-test-{os.getpid()}", is_v2)
                if group.begin(limit):
                    return group
        return None

    def begin(self, limit):
        try:
            self.folder.mkdir()
        except OSError:
            return False
        try:
            (self.folder / ("memory.max" if self.is_v2 else "memory.limit_in_bytes")).write_text(str(limit))
            return True
        except OSError:
            self.end()
            return False

    def killed(self):
        """Processes of the group that the kernel killed for want of memory."""
        text = (self.folder / ("memory.events" if self.is_v2 else "memory.oom_control")).read_text()
        return int(re.search(r"^oom_kill (\d+)$", text, re.MULTILINE).group(1))

    def end(self):
        self.folder.rmdir()


class DaemonInGroup(Daemon):
    group = None

    def command(self):
        command = super().command()
        if self.group is None:
            return command
        # Enters the group before it is crestd.
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.group.folder / "cgroup.procs")] + command


def peak_rss(daemon):
    text = Path(f"/proc/{daemon.process.pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE).group(1)) << 10


def metric(daemon, name):
    found = re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", daemon.get("/metrics").text, re.MULTILINE)
    return float(found.group(1))


class Starving(threading.Thread):
    """Lets a daemon run for a millisecond of every fifty."""

    def __init__(self, daemon):
        super().__init__()
        self.process, self.over = daemon.process, threading.Event()

    def run(self):
        while not self.over.wait(0.001):
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(0.049)
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        self.start()

    def __exit__(self, *error):
        self.over.set()
        self.join()


def offer(daemon, seconds, seed, processes=PROCESSES, connections=CONNECTIONS):
    """Floods the daemon from several processes; returns what they found."""
    address = daemon.address["otlp-http"]
    senders = [subprocess.Popen(
        [sys.executable, flood.__file__, address, str(seed + number), str(seconds), str(connections)],
        stdout=subprocess.PIPE, text=True) for number in range(processes)]
    try:
        return [json.loads(sender.communicate(timeout=seconds + 120)[0]) for sender in senders]
    finally:
        for sender in senders:
            if sender.poll() is None:
                sender.kill()
                sender.wait()


def check_ledger(daemon, found):
    """What was acknowledged is stored, and nothing else when every answer arrived."""
    spans = summary(found)["spans"]
    eventually(lambda: metric(daemon, "crest_spans_in_flight") == 0)
    ledger = daemon.ledger()
    assert ledger["balanced"] is True
    stored = ledger["spans"]["stored"]
    assert stored == spans or stored > spans and any(part["broken"] for part in found)


def check_traces(daemon, acknowledged):
    """A hundred bodies' first, middle and last trace are there whole."""
    assert acknowledged
    for number, traces in acknowledged[:: len(acknowledged) // 100 + 1]:
        for index in {0, traces // 2, traces - 1}:
            trace = daemon.json(f"/api/traces/{flood.trace_id(number, index).hex()}")["data"][0]
            assert len(trace["spans"]) == flood.SPANS


def summary(found):
    statuses = {}
    for part in found:
        for status, count in part["statuses"].items():
            statuses[status] = statuses.get(status, 0) + count
    spans = flood.SPANS * sum(traces for part in found for _, traces in part["acknowledged"])
    return {"answers": statuses, "spans": spans, "offered_mib": sum(part["offered_bytes"] for part in found) >> 20,
            "broken": sum(part["broken"] for part in found)}


@contextlib.contextmanager
def little_daemon(folder, *flags):
    """A daemon in a control group of 128 MiB, from which its limit follows; where none can be made, with that limit."""
    group = MemoryGroup.make(GROUP_BYTES)
    try:
        DaemonInGroup.group = group
        daemon = DaemonInGroup(folder, *flags, *([] if group else [f"--memory-limit={LIMIT_BYTES}"]))
        try:
            assert metric(daemon, "crest_memory_limit_bytes") == LIMIT_BYTES
            yield daemon
            assert daemon.process.poll() is None, f"exit {daemon.process.poll()}: {''.join(daemon.log)[-2000:]}"
            peak = peak_rss(daemon)
            print(f"{'group' if group else 'no group'}, peak RSS {peak >> 20} MiB")
            assert peak < GROUP_BYTES and (group is None or group.killed() == 0)
        finally:
            assert daemon.stop() == 0
    finally:
        DaemonInGroup.group = None
        if group:
            group.end()


def test_a_group_of_128_mebibytes_and_a_flood(tmp_path):
    # Two and a half bytes a trace stay in memory for what is stored, so that has its bound too.
    with little_daemon(tmp_path / "data", "--retention-bytes=512MiB") as daemon:
        # Once with all the time that the senders leave it, once with nearly none.
        fast = offer(daemon, SECONDS / 2, 1)
        with Starving(daemon):
            slow = offer(daemon, SECONDS / 2, 1 + PROCESSES)
        found = fast + slow
        print(f"{summary(fast)}; starved {summary(slow)}")
        check_ledger(daemon, found)
        # Retention may have taken older ones meanwhile.
        check_traces(daemon, [pair for part in slow for pair in part["acknowledged"][-30:]])
        for part in (fast, slow):
            answers = summary(part)["answers"]
            assert set(answers) <= {"200", "503"} and answers["503"] > 0 and answers["200"] > 0
        assert all(part["without_retry_after"] == 0 for part in found)


def test_one_body_is_no_larger_than_the_memory_bears(tmp_path):
    """The largest body that is taken, plain and compressed, fits; a larger one is told so before it is read."""
    unit = flood.template(100)
    with little_daemon(tmp_path / "data") as daemon:
        for share, expected in ((0.99, 200), (1.01, 413), (8, 413)):
            body = unit * int(LIMIT_BYTES / 8 * share / len(unit) + (share > 1))
            for data, headers in ((body, flood.PLAIN), (gzip.compress(body, 1), flood.GZIP)):
                reply = daemon.post("/v1/traces", "otlp-http", data=data, headers=headers)
                assert reply.status_code == expected, f"{share}: {reply.status_code} {reply.text}"


def test_where_an_allocation_fails_nothing_acknowledged_is_lost(tmp_path):
    """The runtime ends the process at the first allocation that fails, so this is a crash like any other."""
    daemon = Daemon(tmp_path / "data")
    everything, ends = [], []
    try:
        for round, room in enumerate((-64, 0, 8, 32, 64, 128)):
            text = Path(f"/proc/{daemon.process.pid}/status").read_text()
            size = int(re.search(r"^VmSize:\s+(\d+) kB$", text, re.MULTILINE).group(1)) << 10
            limit = max(size + (room << 20), 0)
            resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (limit, limit))
            everything += offer(daemon, 3, 1 + round, processes=1, connections=24)
            ends.append(daemon.process.poll())
            daemon.kill()
            daemon.start()
            check_ledger(daemon, everything)
            # The tightest round may end before its first answer.
            if acknowledged := [pair for part in everything for pair in part["acknowledged"]]:
                check_traces(daemon, acknowledged)
        print(f"room of -64 to 128 MiB: exit codes {ends}, {summary(everything)}")
        assert summary(everything)["spans"] > 0
        # Some were met by the limit, or this shows nothing.
        assert any(end is not None for end in ends)
        assert all(end is None or end in (-signal.SIGABRT, -signal.SIGILL, -signal.SIGTRAP, -signal.SIGSEGV) for end in ends)
    finally:
        assert daemon.stop() == 0
