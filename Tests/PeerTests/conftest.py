import os

import pytest

from daemon import Daemon


def pytest_collection_modifyitems(config, items):
    if os.environ.get("CREST_FULL") == "1":
        return
    # The long forms are left out by selection, not skipped: a run says what it ran.
    kept = [item for item in items if "full" not in item.keywords]
    config.hook.pytest_deselected(items=[item for item in items if "full" in item.keywords])
    items[:] = kept


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path / "data")
    yield daemon
    if daemon.process.poll() is None:
        daemon.process.kill()
        daemon.process.wait()


@pytest.fixture(scope="module")
def shared_daemon(tmp_path_factory):
    """One daemon for the tests of a module that only add to it."""
    daemon = Daemon(tmp_path_factory.mktemp("crest") / "data")
    yield daemon
    code = daemon.stop()
    assert code == 0, f"exit {code}: {''.join(daemon.log)[-2000:]}"
