"""Each command that documents show exists with its options; operators are told which of them no test runs."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from typer._click.exceptions import UsageError

from deploy import cli
from tests.tools.documented import MARK, OPERATORS, ROOT, Documented, documented, parse, read

OTHERS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/metrics.md",
    "docs/scaling.md",
    "docs/security.md",
    "docs/integrating.md",
)
OPERATORS_LET_IN = "tests/system/test_console.py::test_an_operator_sees_that_all_is_well_and_finds_what_waits"
KEYS = "tests/system/test_documented_commands.py::test_the_commands_about_keys"
PARKED = "tests/service/test_verify_parked.py::test_what_is_parked_is_listed_and_shown_whole"
DISCARDED = (
    "tests/service/test_verify_parked.py::test_what_is_discarded_stays_with_who_and_why_and_is_never_applied"
)
RESTORED = "tests/faults/restore_faults.py::restored"
"""A scenario that `tests/system/test_restore.py` plays."""
SET_UP = (
    "tests/service/test_stripe_setup.py"
    "::test_on_the_first_day_setup_makes_what_check_misses_and_the_second_time_nothing"
)
RUN = {
    "acls": "tests/system/test_kafka_secure.py::test_the_commands_set_up_a_broker_that_knows_its_users",
    "clinics export --out": "tests/service/test_clinic_export.py::test_a_clinics_books_are_in_one_file",
    "keys list --clinic": KEYS,
    "keys make --clinic": KEYS,
    "keys revoke --clinic": KEYS,
    "keys roll --clinic --hours": KEYS,
    "logins second-factor-off": "tests/service/test_gateway_second_factor.py"
    "::test_an_operator_switches_it_off_for_who_lost_everything",
    "migrate": "tests/system/test_embedded_commands.py::test_migrate_brings_an_empty_server_up_to_date",
    "movements reverse --approved-by --by --reason": "tests/system/test_documented_commands.py"
    "::test_a_forged_movement_is_taken_out",
    "operators add": OPERATORS_LET_IN,
    "operators invite": "tests/system/test_console.py::test_a_lost_phone_takes_a_new_invitation",
    "operators list": OPERATORS_LET_IN,
    "operators remove": OPERATORS_LET_IN,
    "parked discard --by --reason": DISCARDED,
    "parked discard --reason": DISCARDED,
    "parked list": PARKED,
    "parked list --discarded": DISCARDED,
    "parked replay": "tests/service/test_verify_parked.py::test_a_replay_applies_once_the_cause_is_mended",
    "parked replay --all-behind": "tests/service/test_verify_parked.py"
    "::test_what_an_earlier_version_held_back_is_applied_in_one_go",
    "reemit": "tests/system/test_verify_system.py"
    "::test_topics_that_are_lost_are_rebuilt_and_nobody_is_mailed_twice",
    "restore adopt --since": RESTORED,
    "restore erasures": RESTORED,
    "restore prepare": RESTORED,
    "restore prepare --since": RESTORED,
    "restore settle --client --invoice --reason": RESTORED,
    "stripe check": SET_UP,
    "stripe setup": SET_UP,
    "topics": "tests/system/test_embedded_commands.py::test_topics_makes_all_of_the_contract",
    "up": "tests/system/test_embedded_up.py::test_the_gateway_says_that_all_is_ready",
    "up --traces": "tests/system/test_embedded_up.py::test_with_traces_a_request_is_seen_in_zipkin",
    "stripe setup --yes": SET_UP,
    "verify": "tests/system/test_verify_system.py::test_the_command_says_so_and_ends_well",
    "waits": "tests/system/test_documented_commands.py::test_what_waits_for_a_worker_that_stands_still",
    "why": "tests/system/test_why.py::test_a_paid_invoice_by_every_reference_that_there_is",
}
"""The test that runs a command, by the command and its options. `--data` only says where."""

SHOWN = documented(*OPERATORS, *OTHERS)


@pytest.mark.parametrize("shown", SHOWN, ids=str)
def test_it_exists_with_its_options(shown: Documented) -> None:
    parse(shown)


def run_by(shown: Documented) -> str | None:
    used = parse(shown)
    return RUN.get(" ".join((used.command, *sorted(used.options - {"--data"}))))


COMMANDS = [each for each in SHOWN if each.page in OPERATORS and not parse(each).group]


@pytest.mark.parametrize("shown", COMMANDS, ids=str)
def test_what_no_test_runs_is_marked(shown: Documented) -> None:
    assert shown.marked == (run_by(shown) is None)


def test_the_mark_is_explained_where_it_is_used() -> None:
    for page in OPERATORS:
        text = (ROOT / page).read_text(encoding="utf-8")
        assert MARK not in text or f"Commands marked {MARK}" in text


def test_no_test_is_named_for_a_command_that_is_not_shown() -> None:
    assert set(RUN.values()) == {run_by(shown) for shown in COMMANDS} - {None}


@pytest.mark.parametrize(("command", "test"), RUN.items(), ids=RUN)
def test_the_named_test_has_the_commands_words(command: str, test: str) -> None:
    """In its module, or in a module of `tests` that it imports."""
    path, _, name = test.partition("::")
    held = modules(ROOT / path)
    assert f"def {name}(" in held[ROOT / path]
    as_documented = ROOT / "tests/tools/documented.py" in held
    wanted = {word for word in command.split() if not (as_documented and word.startswith("--"))}
    assert wanted <= {text for source in held.values() for text in texts(source)}


def texts(source: str) -> set[str]:
    nodes = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {value for value in nodes if isinstance(value, str)}


@cache
def modules(path: Path) -> dict[Path, str]:
    """The source of a module, and of the modules of `tests` that it imports, by any number of steps."""
    held: dict[Path, str] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file in held or not file.exists():
            continue
        held[file] = file.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(held[file])):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                names = (node.module, *(f"{node.module}.{each.name}" for each in node.names))
                waiting += [ROOT / f"{str(name).replace('.', '/')}.py" for name in names]
    return held


@pytest.mark.parametrize(
    "line",
    [
        "clinicpay verify --topic",
        "clinicpay parked lst",
        "clinicpay keys roll --hours 24",
        "clinicpay why a b",
    ],
)
def test_a_renamed_command_option_or_argument_is_found(line: str) -> None:
    [shown] = read("a page", f"```sh\n./{line}   # a comment\n```\n")
    with pytest.raises((KeyError, UsageError)):
        parse(shown)


def test_the_help_shows_what_the_readme_names() -> None:
    named = {
        parse(shown).command.split()[0] for shown in SHOWN if shown.page in ("README.md", "docs/metrics.md")
    }
    assert {"up", "test", "why", "alerts"} <= named - HIDDEN


HIDDEN = {
    info.name or info.callback.__name__
    for info in cli.app.registered_commands
    if info.hidden and info.callback
}


@pytest.mark.parametrize("module", ["tests.costs", "tests.frozen"])
def test_help_writes_no_file(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("usage: ")
