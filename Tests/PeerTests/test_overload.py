"""`bench overload` in its short form: what must hold however slow the machine is."""
import json
import subprocess

from daemon import BIN


def overload(*arguments):
    """The report of each experiment, by its name. Experiments that measure time may fail on a busy machine."""
    run = subprocess.run([str(BIN / "bench"), "overload", *arguments], capture_output=True, text=True, timeout=300)
    assert run.returncode in (0, 1), run.stderr[-2000:]
    reports = [json.loads(line) for line in run.stdout.splitlines()]
    return {report["bench"].removeprefix("overload "): report for report in reports if "experiment" in report}


def test_nothing_acknowledged_is_lost_at_a_hundred_times_the_capacity():
    reports = overload("--experiment", "E3,E8", "--step-seconds", "1")
    for report in reports.values():
        print(json.dumps(report))
    assert reports["E3"]["acknowledged_spans_lost"] == 0
    assert min(reports["E3"]["answered_spans_of_traces_with_errors"]) > 0
    assert reports["E8"]["ledger_difference"] == 0
    assert reports["E8"]["datagrams_dropped_by_kernel"] > 0
