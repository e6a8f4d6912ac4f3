"""`bench overload` in its short form: what must hold however slow the machine is."""
import json
import subprocess

from daemon import BIN


def overload(*arguments):
    """The reports of each experiment, by its name. Experiments that measure time may fail on a busy machine."""
    run = subprocess.run([str(BIN / "bench"), "overload", *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode in (0, 1), run.stderr[-2000:]
    reports = {}
    for line in run.stdout.splitlines():
        report = json.loads(line)
        if "experiment" in report:
            print(line)
            reports.setdefault(report["bench"].removeprefix("overload "), []).append(report)
    return reports


def test_nothing_acknowledged_is_lost_at_a_hundred_times_the_capacity():
    reports = overload("--experiment", "E3,E8", "--step-seconds", "1")
    assert [report["flags"].rsplit(" ")[-1] for report in reports["E3"]] == ["retry", "shed"]
    for report in reports["E3"]:
        assert report["acknowledged_spans_lost"] == 0
        assert sum(report["answered_spans_of_traces_with_errors"]) > 0
    assert reports["E8"][0]["ledger_difference"] == 0
    assert reports["E8"][0]["datagrams_dropped_by_kernel"] > 0
