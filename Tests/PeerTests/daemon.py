"""Starts the built crestd on free ports and speaks to it as a stranger would."""
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("CREST_BIN", ROOT / ".build" / "release"))
DEADLINE_SECONDS = 20


def eventually(check, seconds=DEADLINE_SECONDS, pause=0.05):
    """Polls `check` until it returns something true, and returns that; fails with the last value."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = check()
            if value:
                return value
        except (requests.RequestException, KeyError, AssertionError) as error:
            value = error
        assert time.monotonic() < end, f"not true within {seconds} s; last: {value!r}"
        time.sleep(pause)


class Daemon:
    """One crestd process over one data directory; may be killed and started again."""

    LISTENERS = ("http", "otlp-http", "otlp-grpc", "zipkin", "jaeger-http", "jaeger-udp", "statsd", "crest-udp")

    def __init__(self, data_dir, *flags, environment=None):
        self.data_dir = Path(data_dir)
        self.flags = list(flags)
        self.environment = environment or {}
        self.process = None
        self.log = []
        self.start()

    def command(self):
        given = {flag.split("=")[0] for flag in self.flags}
        command = [str(BIN / "crestd"), "--data-dir", str(self.data_dir)]
        for name in self.LISTENERS:
            if f"--{name}" not in given:
                command += [f"--{name}", "127.0.0.1:0"]
        return command + self.flags

    def start(self):
        began = time.monotonic()
        self.process = subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, **self.environment})
        drain = threading.Thread(target=self._drain, args=(self.process.stderr,), daemon=True)
        drain.start()
        line = self.process.stdout.readline()
        self.seconds_to_ready = time.monotonic() - began
        if not line.startswith("crestd ready "):
            # It has ended or is about to; all that it says is wanted.
            drain.join(DEADLINE_SECONDS)
        assert line.startswith("crestd ready "), (
            f"no ready line but {line!r}; exit {self.process.poll()}; stderr: {''.join(self.log)}")
        self.ready_line = line.strip()
        self.address = dict(re.findall(r"([a-z-]+)=(\S+)", line))
        return self

    def _drain(self, stream):
        for line in stream:
            self.log.append(line)

    def url(self, path, listener="http"):
        return f"http://{self.address[listener]}{path}"

    def get(self, path, listener="http", **options):
        return requests.get(self.url(path, listener), timeout=DEADLINE_SECONDS, **options)

    def post(self, path, listener="http", **options):
        return requests.post(self.url(path, listener), timeout=DEADLINE_SECONDS, **options)

    def json(self, path, listener="http"):
        reply = self.get(path, listener)
        assert reply.status_code == 200, f"{path}: {reply.status_code} {reply.text[:300]}"
        return reply.json()

    def udp(self, listener="statsd"):
        host, port = self.address[listener].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def ledger(self):
        return self.json("/api/crest/v1/ledger")

    def kill(self):
        """SIGKILL: what a crash looks like."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss_bytes(self):
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")


def crest(*arguments, server=None, environment=None):
    """Runs the crest command; returns the finished process."""
    env = {**os.environ, **(environment or {})}
    if server is not None:
        env["CREST_SERVER"] = server
    return subprocess.run(
        [str(BIN / "crest"), *arguments], capture_output=True, text=True, env=env, timeout=60)
