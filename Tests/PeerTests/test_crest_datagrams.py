"""Crest datagrams made by hand: what is lost, repeated, late or dropped in the client is counted to the item."""
import json
import random
import signal
import socket
import subprocess

import pytest
import zstandard

import otlp
from crest_datagram import LINES, SPANS, Source
from daemon import BIN, Daemon, eventually

KEY = b"a key of at least 16 bytes"


@pytest.fixture
def out():
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield sender
    sender.close()


def of_source(ledger, source):
    found = [entry for entry in ledger["sources"]["newest"] if entry["source"] == f"{source.source:016x}"]
    return found[0] if found else None


def until(daemon, check):
    def reached():
        ledger = daemon.ledger()
        return ledger if check(ledger) else None
    return eventually(reached)


def check_books(ledger):
    sources = ledger["sources"]
    for account in [sources, *sources["newest"]]:
        assert account["produced"] == account["received"] + account["lost"] + account["droppedInClient"], account
        assert account["difference"] == 0
    assert ledger["balanced"] is True


def test_spans_and_lines(daemon, out):
    address = daemon.udp("crest-udp")
    source = Source()
    message, ids = otlp.request(traces=20)
    out.sendto(source.datagram(SPANS, 60, message.SerializeToString()), address)
    out.sendto(source.datagram(LINES, 2, b"datagram.sold:3|c\ndatagram.sold:4|c", dropped=5), address)
    ledger = until(daemon, lambda ledger: (of_source(ledger, source) or {}).get("received") == 62)
    check_books(ledger)
    account = of_source(ledger, source)
    assert (account["produced"], account["lost"], account["droppedInClient"]) == (67, 0, 5)
    assert eventually(lambda: daemon.get(f"/api/traces/{ids[7].hex()}").status_code == 200)
    assert eventually(lambda: "datagram_sold_total 7" in daemon.get("/metrics").text)
    assert "crest_datagram_items_received_total 62\n" in daemon.get("/metrics").text
    # All of it is in the log.
    daemon.kill()
    daemon.start()
    assert len(daemon.json(f"/api/traces/{ids[7].hex()}")["data"][0]["spans"]) == 3
    # The source goes on, and joins: what it sent to the killed daemon is not lost.
    address = daemon.udp("crest-udp")
    out.sendto(source.datagram(LINES, 1, b"datagram.sold:1|c"), address)
    ledger = until(daemon, lambda ledger: of_source(ledger, source))
    assert of_source(ledger, source)["received"] == 1 and ledger["sources"]["joined"] == 1
    check_books(ledger)


@pytest.mark.parametrize("seed", [1, 2])
def test_gaps_duplicates_and_reordering_are_counted_to_the_item(daemon, out, seed):
    address = daemon.udp("crest-udp")
    rng = random.Random(seed)
    source = Source()
    sent = []
    for _ in range(300):
        items = rng.randrange(1, 6)
        dropped = rng.choice([0, 0, 0, 2])
        lines = b"\n".join(b"counted:1|c" for _ in range(items))
        sent.append((items, source.datagram(LINES, items, lines, dropped=dropped)))
    kept = [entry for entry in sent if rng.random() > 0.1]
    arrivals = [(place + rng.randrange(40), place % 7 == 0, entry) for place, entry in enumerate(kept)]
    arrivals.sort(key=lambda arrival: arrival[0])
    # Loopback keeps the order; the sequence numbers say that it was another.
    newest, repeated, late = 0, 0, 0
    for _, twice, (_, datagram) in arrivals:
        number = int.from_bytes(datagram[24:32], "little")
        late += number < newest
        newest = max(newest, number)
        for _ in range(1 + twice):
            out.sendto(datagram, address)
        repeated += twice
    out.sendto(source.datagram(), address)
    ledger = until(daemon, lambda ledger: (of_source(ledger, source) or {}).get("sequence") == 301)
    check_books(ledger)
    account = of_source(ledger, source)
    received = sum(items for items, _ in kept)
    assert account["received"] == received
    assert account["produced"] == source.sent + source.dropped and account["droppedInClient"] == source.dropped
    assert account["lost"] == source.sent - received > 0
    assert account["reordered"] == late > 0
    assert ledger["sources"]["rejected"] == {"duplicate": repeated}
    assert ledger["sources"]["taken"] == len(kept) + 1
    assert eventually(lambda: f"counted_total {received}" in daemon.get("/metrics").text)
    assert eventually(lambda: daemon.ledger()["lines"]["applied"] == received)


def test_refused_datagrams(daemon, out):
    address = daemon.udp("crest-udp")
    source = Source()
    good = source.datagram(LINES, 1, b"a:1|c")
    flipped = bytearray(good)
    flipped[-1] ^= 1
    for datagram in [b"", b"hello", good[:-1], flipped, good, good[:40], bytes(70)]:
        out.sendto(datagram, address)
    ledger = until(daemon, lambda ledger: ledger["datagrams"]["received"] == 7)
    ledger = until(daemon, lambda ledger: ledger["sources"]["taken"] == 1)
    assert ledger["sources"]["rejected"] == {"malformed": 4, "checksum": 2}
    check_books(ledger)


@pytest.mark.parametrize("key", [None, KEY])
def test_compressed_payloads(tmp_path, out, key):
    """zstd, without a tag and under one; a frame that does not hold what the header says is refused."""
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    daemon = Daemon(tmp_path / "data", *([f"--crest-udp-key-file={path}"] if key else []))
    try:
        address = daemon.udp("crest-udp")
        source = Source()
        message, ids = otlp.request(traces=100, seed=31)
        spans, lines = message.SerializeToString(), b"\n".join([b"packed.sold:3|c"] * 1_000)
        for signal, items, plain in ((SPANS, 300, spans), (LINES, 1_000, lines)):
            packed = zstandard.ZstdCompressor().compress(plain)
            assert len(packed) < len(plain) / 2
            out.sendto(source.datagram(signal, items, packed, plain=len(plain), key=key), address)
        other = Source()
        frame = zstandard.ZstdCompressor().compress(b"bad:1|c")
        out.sendto(other.datagram(LINES, 1, frame, plain=8, key=key), address)
        out.sendto(other.datagram(LINES, 1, frame[:-1], plain=7, key=key), address)
        out.sendto(other.datagram(LINES, 1, b"bad:1|c", plain=7, key=key), address)
        ledger = until(daemon, lambda ledger: sum(ledger["sources"]["rejected"].values()) == 3)
        assert ledger["sources"]["rejected"] == {"compression": 3}
        assert of_source(ledger, source)["received"] == 1_300 and of_source(ledger, source)["lost"] == 0
        check_books(ledger)
        eventually(lambda: "packed_sold_total 3000\n" in daemon.get("/metrics").text)
        for number in (0, 57, 99):
            eventually(lambda: daemon.get(f"/api/traces/{ids[number].hex()}").status_code == 200)
            reply = daemon.json(f"/api/crest/v1/traces/{ids[number].hex()}")
            found = {span["spanId"]: span for span in reply["resourceSpans"][0]["scopeSpans"][0]["spans"]}
            for span in message.resource_spans[0].scope_spans[0].spans[3 * number:3 * number + 3]:
                assert found[span.span_id.hex()]["startTimeUnixNano"] == str(span.start_time_unix_nano)
                assert found[span.span_id.hex()]["name"] == span.name
    finally:
        daemon.kill()


def test_key(tmp_path, out):
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    daemon = Daemon(tmp_path / "data", f"--crest-udp-key-file={path}")
    try:
        address = daemon.udp("crest-udp")
        source = Source()
        out.sendto(source.datagram(LINES, 1, b"a:1|c"), address)
        out.sendto(source.datagram(LINES, 1, b"a:1|c", key=KEY + b"x"), address)
        out.sendto(source.datagram(LINES, 1, b"a:1|c", key=KEY, when=1), address)
        out.sendto(source.datagram(LINES, 1, b"a:1|c", key=KEY), address)
        ledger = until(daemon, lambda ledger: ledger["sources"]["received"] == 1)
        assert ledger["sources"]["rejected"] == {"untagged": 1, "bad_tag": 1, "bad_time": 1}
        assert ledger["sources"]["lost"] == 3
        check_books(ledger)
    finally:
        daemon.stop()
    daemon.start()
    statsd = "{}:{}".format(*daemon.udp("statsd"))
    shop = [str(BIN / "promo-shop"), "--datagrams", "{}:{}".format(*daemon.udp("crest-udp")), "--statsd", statsd,
            "--rate", "50", "--peak", "2x", "--duration", "1s", "--quiet"]
    totals = json.loads(subprocess.run(
        [*shop, "--datagram-key-file", str(path)], capture_output=True, text=True, timeout=60).stdout)
    until(daemon, lambda ledger: ledger["spans"]["stored"] == totals["spans"] > 0)
    assert daemon.ledger()["sources"]["rejected"] == {}
    assert subprocess.run(shop, capture_output=True, timeout=60).returncode == 0
    until(daemon, lambda ledger: set(ledger["sources"]["rejected"]) == {"untagged"})
    assert daemon.ledger()["spans"]["stored"] == totals["spans"]
    assert daemon.stop() == 0
    path.write_bytes(b"short")
    refused = subprocess.run(
        [str(BIN / "crestd"), "--check-config", f"--crest-udp-key-file={path}"], capture_output=True, text=True,
        timeout=20)
    assert refused.returncode == 78 and "16" in refused.stderr and "short" not in refused.stderr


def test_a_flood_that_overflows_the_socket_is_known_to_the_span(daemon, out):
    address = daemon.udp("crest-udp")
    sources = [Source() for _ in range(4)]
    message, _ = otlp.request(traces=20, spans_per_trace=3)
    body = message.SerializeToString()
    for source in sources:
        out.sendto(source.datagram(), address)
    until(daemon, lambda ledger: all(of_source(ledger, source) for source in sources))
    # Made before, so that the checksum in Python does not slow the flood down.
    datagrams = [source.datagram(SPANS, 60, body) for _ in range(1_500) for source in sources]
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        for datagram in datagrams:
            out.sendto(datagram, address)
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    # A refusal of the store is counted there; the last report must come through.
    def drained():
        counts = daemon.ledger()["datagrams"]
        return counts["received"] + counts["droppedByKernel"] == len(datagrams) + len(sources)
    eventually(drained)
    for source in sources:
        out.sendto(source.datagram(), address)
    ledger = until(daemon, lambda ledger: all(of_source(ledger, source)["sequence"] == 1_502 for source in sources))
    # Spans wait for company before they go to the store.
    ledger = until(
        daemon, lambda ledger: ledger["spans"]["received"] == ledger["sources"]["received"]
        and ledger["spans"]["inFlight"] == 0 and ledger["balanced"])
    check_books(ledger)
    total = ledger["sources"]
    assert total["produced"] == 60 * len(datagrams)
    assert total["lost"] == 60 * ledger["datagrams"]["droppedByKernel"] > 0
    assert ledger["spans"]["received"] == total["received"]
    assert ledger["spans"]["stored"] + sum(ledger["spans"]["rejected"].values()) == total["received"]


def test_promo_shop_sends_datagrams(daemon):
    host, port = daemon.udp("crest-udp")
    statsd = "{}:{}".format(*daemon.udp("statsd"))
    shop = subprocess.run(
        [str(BIN / "promo-shop"), "--datagrams", f"{host}:{port}", "--statsd", statsd, "--rate", "50", "--peak", "2x",
         "--duration", "1s", "--quiet"], capture_output=True, text=True, timeout=60)
    assert shop.returncode == 0, shop.stderr
    totals = json.loads(shop.stdout)
    assert totals["spans_sent"] == totals["spans"] > 0 and totals["spans_acknowledged"] == 0
    ledger = until(daemon, lambda ledger: ledger["sources"]["produced"] == totals["spans"])
    check_books(ledger)
    assert ledger["sources"]["received"] + ledger["sources"]["lost"] == totals["spans"]
    assert ledger["sources"]["lost"] == 0 and ledger["sources"]["joined"] == 0
    until(daemon, lambda ledger: ledger["spans"]["stored"] == totals["spans"])
