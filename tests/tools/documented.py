"""The commands of `clinicpay` that documents show: read from the text, and parsed as the program parses them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer._click.exceptions import MissingParameter

from deploy import cli

ROOT = Path(__file__).resolve().parents[2]
OPERATORS = ("docs/runbooks.md", "docs/operations.md")
MARK = "†"
"""After a command in the text, or in a comment behind it: no test runs it."""
FORMS = re.compile(r"(?<![\w./-])(?:(?:\./)?clinicpay|python -m deploy\.cli) ")
_FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`(†?)")
_END = re.compile(r"\s[|>&]|;|'(?=\s|$)")
_PLACEHOLDERS = {
    '"$(cat clinicpay.since)"': "2026-01-01",
    '"$1"': "2026-01-01",
    **dict.fromkeys(
        ("CLINIC_ID", "MOVEMENT_ID", "KEY_ID", "CLIENT", "INVOICE"), "01a00000-0000-7000-8000-000000000000"
    ),
}


@dataclass(frozen=True, slots=True)
class Documented:
    """`whole`: a line of a code block, which is to be typed as it is; else a mention, which may leave values out."""

    page: str
    words: tuple[str, ...]
    whole: bool
    marked: bool

    def __str__(self) -> str:
        return f"{Path(self.page).stem}: {' '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class Use:
    """A command's words, such as `parked list`, and the options that it was given. `group`: it only has commands."""

    command: str
    options: frozenset[str]
    group: bool


def documented(*pages: str) -> list[Documented]:
    return [each for page in pages for each in read(page, (ROOT / page).read_text(encoding="utf-8"))]


def read(page: str, text: str) -> Iterator[Documented]:
    for block in _FENCED.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            typed, _, _ = line.partition(" #")
            for found in FORMS.finditer(typed):
                yield Documented(page, _words(typed[found.end() :]), whole=True, marked=MARK in line)
    for span, mark in _INLINE.findall(_FENCED.sub("", text)):
        one_line = " ".join(span.split())
        if mention := FORMS.match(one_line):
            yield Documented(page, _words(one_line[mention.end() :]), whole=False, marked=bool(mark))


def statements() -> list[str]:
    """The SQL that operators' pages show."""
    text = "\n".join((ROOT / page).read_text(encoding="utf-8") for page in OPERATORS)
    return [" ".join(found.split()) for found in re.findall(r'[`"](SELECT [^`"]+)[`"]', text)]


def _words(rest: str) -> tuple[str, ...]:
    end = _END.search(rest)
    return tuple(shlex.split(rest[: end.start()] if end else rest))


def parse(shown: Documented) -> Use:
    """Parse a command as the program does; its own exception says what it does not know."""
    command: Any = typer.main.get_command(cli.app)
    words, path = [_PLACEHOLDERS.get(f'"{word}"', _PLACEHOLDERS.get(word, word)) for word in shown.words], []
    while hasattr(command, "commands") and words and words[0][:1] not in "…-":
        path.append(words.pop(0))
        command = command.commands[path[-1]]
    if "…" in words:
        words = words[: words.index("…")]
    options = {option: each.name for each in command.params for option in each.opts if option[:2] == "--"}
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    try:
        if not hasattr(command, "commands"):
            command.make_context(path[-1], list(words))
    except MissingParameter:
        if shown.whole:
            raise
    return Use(" ".join(path), frozenset(given & options.keys()), hasattr(command, "commands"))
