"""The sh launcher: its messages when it cannot continue, and that it works from every directory."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "dirname", "readlink", "cksum", "cat", "grep", "kill", "sleep", "mkdir", "rm", "env")
NOWHERE = "http://127.0.0.1:9/index"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the launcher's files, without a .venv, in a directory with a space in its name."""
    root = tmp_path / "a house"
    (root / "deploy").mkdir(parents=True)
    shutil.copy(ROOT / "clinicpay", root)
    shutil.copytree(ROOT / "requirements", root / "requirements")
    (root / "deploy" / "__init__.py").touch()
    (root / "deploy" / "cli.py").write_text("import os, sys; print(os.getcwd(), sys.argv[1:])\n")
    return root


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the usual commands, and no Python."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in TOOLS:
        if found := shutil.which(name):
            (directory / name).symlink_to(found)
    return directory


def run(house: Path, tools: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": str(tools), "HOME": str(tools.parent), "LANG": "C.UTF-8", **environment}
    command = [str(house / "clinicpay"), *arguments]
    return subprocess.run(command, env=env, cwd=tools.parent, capture_output=True, text=True, check=False)


def script(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def python_in(tools: Path, but: str = "") -> None:
    """This Python as `python3`, which fails when its command line holds the word `but`, if given."""
    guard = f'case "$*" in *{but}*) exit 1;; esac; ' if but else ""
    script(tools / "python3", f'{guard}exec "{sys.executable}" "$@"')


def test_no_python_is_said_in_a_line(house: Path, tools: Path) -> None:
    done = run(house, tools)
    assert done.returncode == 1
    assert done.stderr == "clinicpay: Python 3.11 or newer is needed; no Python was found.\n"


def test_an_old_python_is_named(house: Path, tools: Path) -> None:
    script(tools / "python3", 'case "$*" in *print*) echo 3.9;; *) exit 1;; esac')
    done = run(house, tools)
    assert done.returncode == 1
    assert done.stderr == "clinicpay: Python 3.11 or newer is needed; python3 here is 3.9.\n"


def test_a_missing_venv_module_is_said(house: Path, tools: Path) -> None:
    python_in(tools, but="ensurepip")
    done = run(house, tools)
    assert done.returncode == 1
    assert "clinicpay: this Python has no venv module" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_no_network_on_first_use_is_said(house: Path, tools: Path, installer: str) -> None:
    python_in(tools)
    if installer == "uv":
        uv = Path(sys.executable).with_name("uv")
        script(tools / "uv", f'PATH="{os.environ["PATH"]}" exec "{uv}" "$@"')
    done = run(
        house,
        tools,
        UV_CACHE_DIR=str(house / "cache"),
        UV_DEFAULT_INDEX=NOWHERE,
        UV_HTTP_RETRIES="0",
        PIP_INDEX_URL=NOWHERE,
        PIP_NO_CACHE_DIR="1",
        PIP_CONFIG_FILE=os.devnull,
    )
    assert done.returncode == 1
    assert "the first use needs the network" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (house / ".venv" / "requirements-run.stamp").exists()


def installed(house: Path) -> None:
    """Create the files that a first use leaves, without its packages."""
    venv.create(house / ".venv")
    for name in ("run", "dev"):
        with (house / "requirements" / f"{name}.txt").open("rb") as file:
            stamp = subprocess.run(["cksum"], stdin=file, capture_output=True, text=True, check=True).stdout
        (house / ".venv" / f"requirements-{name}.stamp").write_text(stamp)


def test_an_installed_one_starts_at_once_in_the_users_directory(house: Path, tools: Path) -> None:
    installed(house)
    done = run(house, tools, "up", "--data", "x y")
    assert done.stderr == ""
    assert done.stdout == f"{tools.parent} ['up', '--data', 'x y']\n"


def test_symbolic_links_lead_home(house: Path, tools: Path) -> None:
    installed(house)
    (tools / "second").symlink_to(house / "clinicpay")
    (tools / "clinicpay").symlink_to("second")
    done = run(tools, tools, "topics")
    assert (done.returncode, done.stdout) == (0, f"{tools.parent} ['topics']\n")


def test_a_changed_lock_installs_again(house: Path, tools: Path) -> None:
    installed(house)
    (house / "requirements" / "run.txt").write_text("nothing-of-this-name==1 --hash=sha256:00\n")
    done = run(house, tools, "up", PIP_INDEX_URL=NOWHERE, PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 1
    assert "could not" in done.stderr


def test_the_users_modules_do_not_shadow_ours(house: Path, tools: Path) -> None:
    installed(house)
    (tools.parent / "deploy").mkdir()
    (tools.parent / "deploy" / "cli.py").write_text("raise SystemExit('shadowed')\n")
    assert run(house, tools, "up").returncode == 0


def test_the_locks_hold_no_addresses() -> None:
    for lock in (ROOT / "requirements").iterdir():
        assert "://" not in lock.read_text(), lock.name
        assert "--find-links" not in lock.read_text(), lock.name
