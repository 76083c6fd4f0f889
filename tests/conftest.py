"""What every test stands on: a home of its own, no network, no process left behind, an honest summary.

Tiers, by marker: plain tests always run; `ci` with STEPWELL_CI=1; `soak` with STEPWELL_SOAK=1.
`alone` tests measure time or fill the machine: `make test` runs them after the others, one by one.
`real("python3.8")` names a real program a test needs (see `support.realparts`).
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from stepwell.paths import Home
from support import left_behind, network, realparts

PART = "real part"
_parts_run: set[str] = set()
_parts_missing: set[str] = set()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: measures time or fills the machine; runs after the others")
    config.addinivalue_line("markers", "real(*names): needs real programs, see support/realparts.py")
    # A busy machine is no reason to fail, and a law that needs 300 ms for an example is still a law.
    settings.register_profile("stepwell", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("stepwell")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Draw the seed of this session here, so that it is printed and every worker has the same one."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(random.SystemRandom().randrange(1 << 32))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    soak = os.environ.get("STEPWELL_SOAK") == "1"
    wanted = {"ci": soak or realparts.must_be_here(), "soak": soak}
    left_out = [item for item in items if any(item.get_closest_marker(t) and not on for t, on in wanted.items())]
    if left_out:
        items[:] = [item for item in items if item not in set(left_out)]
        config.hook.pytest_deselected(items=left_out)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker in item.iter_markers("real"):
        for name in marker.args:
            if realparts.find(name) is None:
                item.user_properties.append((PART, f"-{name}"))
                reason = f"{PART} {name!r} is not on this machine"
                if realparts.must_be_here():
                    pytest.fail(f"{reason}, and STEPWELL_CI=1 forbids to skip it", pytrace=False)
                pytest.skip(reason)
            item.user_properties.append((PART, name))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    for key, value in report.user_properties:
        if key == PART and isinstance(value, str):
            if value.startswith("-"):
                _parts_missing.add(value[1:])
            elif report.when == "call" and not report.skipped:
                _parts_run.add(value)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    terminalreporter.section("what really ran")
    terminalreporter.line(f"real parts: {', '.join(sorted(_parts_run)) or 'none'}")
    if _parts_missing:
        terminalreporter.line(f"not on this machine: {', '.join(sorted(_parts_missing))}")
    seed = config.option.hypothesis_seed
    terminalreporter.line(f"seed of the properties: {seed} (repeat with --hypothesis-seed={seed})")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    allow = network.forbid()
    yield
    allow()


@pytest.fixture(scope="session", autouse=True)
def _nothing_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep every test away from the user's own home, and fail where one left a process anywhere below."""
    base = Path(os.path.realpath(tmp_path_factory.getbasetemp()))
    before = os.environ.get("STEPWELL_HOME")
    os.environ["STEPWELL_HOME"] = str(base / "home-of-no-test")
    yield
    os.environ.pop("STEPWELL_HOME")
    if before is not None:
        os.environ["STEPWELL_HOME"] = before
    killed = left_behind.end_all(base) if left_behind.survivors(base) else []
    assert not killed, "tests without the `home` fixture left " + "; ".join(map(str, killed))


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home of this test's own, also in STEPWELL_HOME. Its daemon is stopped at the end.

    A process that then is still there is killed and fails the test: whatever a test starts
    (a step that sleeps, a daemon that it killed by -9) it has to see end.
    """
    home = Home.at(tmp_path_factory.mktemp("home"))
    monkeypatch.setenv("STEPWELL_HOME", str(home.root))
    yield home
    killed = left_behind.end_all(home.root)
    assert not killed, "the test left " + "; ".join(map(str, killed))
