"""`clinicpay test`: lint, types, import rules and every test group as one command with one last line.

A group runs where a probe finds what it needs; else it is skipped, and a line says what would enable it.
With CLINICPAY_REQUIRE_ALL=1 a skip fails the run: that is how CI calls it.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.tools import collector, verapdf

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
PARALLEL = ("-n", "2", "--dist", "loadfile")
IMAGES = ("postgres:18", "apache/kafka:4.3.1")


@dataclass(frozen=True)
class Count:
    """The groups that ran, and a line for each that did not."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    skips: tuple[str, ...] = ()

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.skips + other.skips,
        )


@dataclass(frozen=True)
class Group:
    """A named group. `lacks` answers what would enable it on this machine, None if it can run.

    `asks_others` is of a group that asks a program of others about our work: without the program it is reported, and
    fails nothing.
    """

    name: str
    run: Callable[[], Count]
    lacks: Callable[[], str | None] = lambda: None
    asks_others: bool = False


def run(arguments: Sequence[str]) -> int:
    """Run all groups, the named groups, or pytest with these arguments. Answers the exit code."""
    groups = {group.name: group for group in GROUPS}
    if arguments and not set(arguments) <= groups.keys():
        total = pytest(arguments)
    else:
        total = sum((_run_group(groups[name]) for name in arguments or groups), Count())
    return _report(total)


def _run_group(group: Group) -> Count:
    _say(f"\n== {group.name}")
    if wanted := group.lacks():
        return Count(skipped=0 if group.asks_others else 1, skips=(f"{group.name}: {wanted}",))
    return group.run()


def _report(total: Count) -> int:
    strict = os.environ.get("CLINICPAY_REQUIRE_ALL") == "1"
    _say("")
    for line in dict.fromkeys(total.skips):
        _say(f"skipped: {line}")
    if strict and total.skipped:
        _say("a skip is a failure here, since CLINICPAY_REQUIRE_ALL=1")
    _say(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed or (strict and total.skipped) or not total.passed else 0


def check(*command: str) -> Count:
    """Run a tool of the virtual environment; its output is shown if it fails."""
    done = subprocess.run(
        [str(TOOLS / command[0]), *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        _say(f"{' '.join(command)}: fine")
        return Count(passed=1)
    _say(f"{' '.join(command)}:\n{done.stdout}{done.stderr}")
    return Count(failed=1)


def supplied() -> Count:
    """Licences, secrets and advisories. A service that cannot be reached here is reported, and fails nothing."""
    from tests.tools import supply

    return sum((_asked(each) for each in (supply.licences, supply.secrets, supply.advisories)), Count())


def _asked(problems: Callable[[], list[str]]) -> Count:
    from tests.tools.supply import CannotAsk

    try:
        found = problems()
    except CannotAsk as reason:
        return Count(skips=(f"{problems.__name__}: {reason}",))
    _say("\n".join((f"{problems.__name__}: {'not fine' if found else 'fine'}", *found)))
    return Count(failed=1) if found else Count(passed=1)


def pytest(arguments: Sequence[str]) -> Count:
    """Run pytest, its output as it comes; counts are of tests."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", *arguments]
        sys.stdout.flush()
        code = subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode
        counted = count(report) if report.exists() else Count()
    broken = code not in (0, 5) and not counted.failed  # pytest itself failed
    return counted + Count(failed=1 if broken else 0)


def count(report: Path) -> Count:
    """The tests in a JUnit report, with the reasons of the skipped ones."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))  # noqa: S314  written by our own pytest

    def total(*names: str) -> int:
        return sum(int(suite.get(name, 0)) for suite in suites for name in names)

    failed, skipped = total("failures", "errors"), total("skipped")
    reasons = tuple(
        skip.get("message", "no reason given") for suite in suites for skip in suite.iter("skipped")
    )
    return Count(total("tests") - failed - skipped, failed, skipped, reasons)


def folder(name: str, *options: str, asks_others: bool = False) -> Group:
    """The group of the tests in tests/<name>."""
    place = f"tests/{name}"
    lacks = _all(lambda: _no_tests(place), PROBES.get(name))
    return Group(name, lambda: pytest([place, *options]), lacks, asks_others)


def _no_tests(place: str) -> str | None:
    return None if any((ROOT / place).glob("**/test_*.py")) else f"there are no tests in {place}"


def _all(*probes: Callable[[], str | None] | None) -> Callable[[], str | None]:
    return lambda: next((wanted for probe in probes if probe and (wanted := probe())), None)


def chromium() -> str | None:
    """Path of a Chromium: CHROMIUM_PATH, one of the system's, or Playwright's own; None if there is none."""
    named = [
        os.environ.get("CHROMIUM_PATH"),
        *map(shutil.which, ("chromium", "chromium-browser", "google-chrome")),
    ]
    if found := next(filter(None, named), None):
        return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return str(own) if own.exists() else None


def _lacks_chromium() -> str | None:
    if chromium():
        return None
    return (
        "needs Chromium: `apt install chromium`, or `.venv/bin/playwright install chromium`, or CHROMIUM_PATH"
    )


def _lacks_compose() -> str | None:
    """Docker is there if it works, so it is asked to: an engine, compose, and the images that compose names."""
    for command in (["docker", "info"], ["docker", "compose", "version"]):
        if not _works(command):
            return f"needs Docker with compose (`{' '.join(command)}` does not work)"
    for image in IMAGES:
        if not (
            _works(["docker", "image", "inspect", image]) or _works(["docker", "pull", "-q", image], 300)
        ):
            return f"needs the image {image} (`docker pull {image}` does not work)"
    return None


def _works(command: Sequence[str], seconds: float = 20) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _lacks_debezium() -> str | None:
    """Java is Kafka's own; what may be missing are the jars."""
    from deploy.local import connect
    from deploy.local.errors import EmbeddedError

    try:
        asyncio.run(connect.fetch())
    except EmbeddedError as refusal:
        return f"needs Kafka Connect and Debezium: {refusal}"
    return None


def _checks(*commands: Sequence[str]) -> Callable[[], Count]:
    return lambda: sum((check(*command) for command in commands), Count())


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _lacks_prometheus() -> str | None:
    if shutil.which("prometheus") and shutil.which("promtool"):
        return None
    return "needs Prometheus: `apt install prometheus`"


PROBES: dict[str, Callable[[], str | None]] = {
    "browser": _lacks_chromium,
    "collector": collector.lacks,
    "compose": _lacks_compose,
    "debezium": _lacks_debezium,
    "signals": _lacks_prometheus,
    "verapdf": verapdf.lacks,
}

GROUPS: Iterable[Group] = (
    Group("lint", _checks(("ruff", "check", "."), ("ruff", "format", "--check", "."), ("vulture",))),
    Group("types", _checks(("mypy",))),
    Group("imports", _checks(("lint-imports",))),
    Group("supply", supplied),
    folder("unit", *PARALLEL),
    folder("service", *PARALLEL),
    folder("costs"),
    folder("contracts", *PARALLEL),
    folder("frozen", *PARALLEL),
    folder("security", *PARALLEL),
    folder("models"),
    folder("system"),
    folder("debezium"),
    folder("verapdf", asks_others=True),
    folder("signals", asks_others=True),
    folder("collector", asks_others=True),
    folder("faults"),
    folder("browser", *PARALLEL),
    folder("compose"),
)
