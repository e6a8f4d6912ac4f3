"""SIGHUP and POST /-/reload: all of a good configuration or nothing of a bad one, and a log that names what must wait."""
import re
import signal
import socket

from daemon import Daemon, eventually


def value(daemon, name):
    found = re.findall(rf"^{re.escape(name)} (\S+)$", daemon.get("/metrics").text, re.M)
    return float(found[0]) if found else None


def reload(daemon, expect=200):
    reply = daemon.post("/-/reload")
    assert reply.status_code == expect, reply.text
    return reply.text


def send(daemon, text):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(text.encode(), daemon.udp())


def test_a_bad_file_changes_nothing(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("log-level: info\nseries-limit-family: 100\n")
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    assert value(daemon, "crest_config_reload_failed") == 0
    # The level is good, the line after it is not: neither counts.
    config.write_text("log-level: error\nseries-limit-family: many\n")
    answer = reload(daemon, expect=500)
    assert "crest.yaml:2" in answer and "series-limit-family" in answer
    assert value(daemon, "crest_config_reload_failed") == 1
    daemon.process.send_signal(signal.SIGHUP)
    eventually(lambda: value(daemon, 'crest_config_reloads_total{result="failure"}') == 2)
    config.write_text("log-level: info\nseries-limit-family: 100\nhttpp: off\n")
    assert "crest.yaml:3" in reload(daemon, expect=500)
    config.unlink()
    assert "no such file" in reload(daemon, expect=500)
    assert any("not reloaded" in line for line in daemon.log), "the level is still info"
    config.write_text("log-level: info\nseries-limit-family: 50\n")
    before = value(daemon, "crest_config_last_success_timestamp_seconds")
    reload(daemon)
    assert value(daemon, "crest_config_reload_failed") == 0
    assert value(daemon, 'crest_config_reloads_total{result="success"}') == 1
    assert value(daemon, "crest_config_last_success_timestamp_seconds") >= before
    assert daemon.json("/api/crest/v1/metrics/cardinality")["limits"]["family"] == 50
    assert daemon.stop() == 0


def test_what_needs_a_restart_is_named(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("memory-limit: 256MiB\nretention-age: 3d\nrecorder-age: off\n")
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    config.write_text(
        "memory-limit: 128MiB\nretention-age: 2d\nrecorder-age: 1h\ndurability: memory\nallow-host: [a.example]\n")
    reload(daemon)
    said = eventually(lambda: [line for line in daemon.log if "needs a restart" in line])
    assert said[-1].strip().endswith("restart: durability, memory-limit, recorder-age, allow-host") or all(
        word in said[-1] for word in ("durability", "memory-limit", "recorder-age", "allow-host"))
    assert "retention-age" not in said[-1]
    # Said again as long as it holds, and no more once it is taken back.
    config.write_text("memory-limit: 256MiB\nretention-age: 2d\nrecorder-age: off\n")
    daemon.log.clear()
    reload(daemon)
    eventually(lambda: any(line.strip().endswith("reloaded") for line in daemon.log))
    assert daemon.stop() == 0


def test_the_log_level_changes(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("log-level: error\n")
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    reload(daemon)
    assert not any("reloaded" in line for line in daemon.log)
    config.write_text("log-level: info\n")
    reload(daemon)
    eventually(lambda: any("reloaded" in line for line in daemon.log))
    assert daemon.stop() == 0


def test_mapping_rules_change_for_known_keys_too(tmp_path):
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("mappings:\n- match: shop.*.orders\n  name: orders\n  labels: {shop: $1}\n")
    daemon = Daemon(tmp_path / "data", f"--statsd-mapping={mapping}")
    send(daemon, "shop.north.orders:2|c")
    eventually(lambda: value(daemon, 'orders_total{shop="north"}') == 2)
    mapping.write_text("mappings:\n- match: shop.*.orders\n  name: sold\n  labels: {place: $1}\n")
    reload(daemon)
    send(daemon, "shop.north.orders:3|c")
    eventually(lambda: value(daemon, 'sold_total{place="north"}') == 3)
    assert value(daemon, 'orders_total{shop="north"}') == 2, "what the old rules made stays until it expires"
    # Lines over HTTP go by the new rules, and so does the explanation.
    assert daemon.post("/api/v1/statsd", data="shop.south.orders:1|c").status_code < 300
    eventually(lambda: value(daemon, 'sold_total{place="south"}') == 1)
    assert "sold" in daemon.get("/api/crest/v1/explain?line=shop.north.orders:1|c").text
    mapping.write_text("mappings:\n- match: '['\n  match_type: regex\n  name: x\n")
    assert "mapping.yaml" in reload(daemon, expect=500)
    send(daemon, "shop.north.orders:4|c")
    eventually(lambda: value(daemon, 'sold_total{place="north"}') == 7)
    ledger = eventually(lambda: (lambda l: l if l["balanced"] else None)(daemon.ledger()))
    assert ledger["lines"]["rejected"] == {}
    assert daemon.stop() == 0


def test_limits_and_expiry_of_series_change(tmp_path):
    config = tmp_path / "crest.yaml"
    config.write_text("series-limit-family: 2\nexpire-gauges: 0\noverflow-labels: none\n")
    daemon = Daemon(tmp_path / "data", "--config", str(config))
    for number in range(4):
        send(daemon, f"queue:{number + 1}|g|#n:{number}")
    shown = r"^queue\{n=.*$"

    def series():
        return len(re.findall(shown, daemon.get("/metrics").text, re.M))

    eventually(lambda: series() == 2)
    config.write_text("series-limit-family: 20\nexpire-gauges: 0\noverflow-labels: none\n")
    reload(daemon)
    send(daemon, "queue:9|g|#n:9")
    eventually(lambda: series() == 3)
    # Gauges that would have stayed for ever go now.
    config.write_text("series-limit-family: 20\nexpire-gauges: 2s\noverflow-labels: none\n")
    reload(daemon)
    eventually(lambda: series() == 0)
    assert daemon.stop() == 0
