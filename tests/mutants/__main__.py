"""`python -m tests.mutants [words]`: take each safeguard away in a copy, and see that its named test turns red.

Words choose mutants by parts of their names. Exits 1 when one survives, when its text is no longer in the code, or
when a named test fails without any mutant. Nothing here is part of `clinicpay test`: it takes some minutes.
"""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.mutant import Edit, Mutant
from tests.mutants.table import ALL

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("contracts", "services", "deploy", "tests", "pyproject.toml")
AT_ONCE = 2
SECONDS = 300
"""How long one named test may take, its database's start included."""
FAILED = 1
"""pytest's exit code when tests ran and some failed; others mean that it could not run them."""


@dataclass(frozen=True)
class Verdict:
    mutant: Mutant
    outcome: str
    """`killed`, `SURVIVED`, `TIMED OUT`, or what kept it from being tried."""
    seconds: float

    @property
    def fine(self) -> bool:
        return self.outcome == "killed"


def main(words: Sequence[str]) -> int:
    chosen = [mutant for mutant in ALL if not words or any(word in mutant.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="clinicpay-mutants-") as place:
        copies = [_copy(Path(place) / str(at)) for at in range(AT_ONCE)]
        if not _green(copies[0], chosen):
            return 1
        verdicts = _try_all(copies, chosen)
    killed = sum(verdict.fine for verdict in verdicts)
    _say(f"{killed} of {len(verdicts)} mutants killed in {time.monotonic() - began:.0f} s")
    return 0 if verdicts and killed == len(verdicts) else 1


def _copy(to: Path) -> Path:
    """The code and its tests as they are now, in a place that PostgreSQL's own user may enter, too."""
    to.parent.chmod(0o755)
    to.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__", "shots"))
        else:
            shutil.copy2(source, to / name)
    return to


def _green(copy: Path, mutants: Sequence[Mutant]) -> bool:
    """Whether the named tests pass while nothing is taken away; else a kill would mean nothing."""
    tests = list(dict.fromkeys(mutant.test for mutant in mutants))
    done = _pytest(copy, tests, SECONDS * 5)
    if done.returncode != 0:
        _say(
            f"the named tests must pass before anything is taken away:\n{(done.stdout + done.stderr)[-4000:]}"
        )
    return done.returncode == 0


def _try_all(copies: Sequence[Path], mutants: Sequence[Mutant]) -> list[Verdict]:
    free: SimpleQueue[Path] = SimpleQueue()
    for copy in copies:
        free.put(copy)

    def judge(mutant: Mutant) -> Verdict:
        copy, began = free.get(), time.monotonic()
        try:
            verdict = Verdict(mutant, _outcome(copy, mutant), time.monotonic() - began)
        finally:
            free.put(copy)
        _say(
            f"{verdict.outcome:<14} {mutant.name:<48} {verdict.seconds:5.1f} s  {mutant.test.rpartition('::')[2]}"
        )
        return verdict

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(judge, mutants))


def _outcome(copy: Path, mutant: Mutant) -> str:
    try:
        with _without(copy, mutant.edits):
            code = _pytest(copy, ["-x", mutant.test], SECONDS).returncode
    except subprocess.TimeoutExpired:
        return "TIMED OUT"
    except LookupError as stale:
        return f"STALE: {stale}"
    return {FAILED: "killed", 0: "SURVIVED"}.get(code, f"BROKEN: pytest's exit code is {code}")


@contextmanager
def _without(copy: Path, edits: Sequence[Edit]) -> Iterator[None]:
    """The copy with these edits, and as it was afterwards. LookupError names a text that is not there once."""
    before = {edit.file: (copy / edit.file).read_text() for edit in edits}
    try:
        for edit in edits:
            text = (copy / edit.file).read_text()
            if text.count(edit.old) != 1:
                raise LookupError(f"{edit.file} has {text.count(edit.old)} times {edit.old.strip()!r}")
            (copy / edit.file).write_text(text.replace(edit.old, edit.new))
        yield
    finally:
        for file, text in before.items():
            (copy / file).write_text(text)


def _pytest(copy: Path, arguments: Sequence[str], seconds: float) -> "subprocess.CompletedProcess[str]":
    # Bytecode is kept by a file's time in whole seconds: an edit and its undoing may fall into one.
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=seconds, check=False)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
