"""The calls of docs/integrating.md work as they are written: each `curl` is sent to the gateway in this process."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import getitem
from typing import Any

from tests.builders.events import carry
from tests.running.databases import ServiceDb
from tests.running.gateway import Site
from tests.running.settings import OPERATOR_KEY
from tests.tools.generate import CONTRACTS

GUIDE = (CONTRACTS.parent / "docs/integrating.md").read_text(encoding="utf-8")
BROUGHT = {"PAYMENT", "DISPUTE", "DIGEST"}
"""Ids that the guide does not make: what came of a client's payment in the portal. Calls with them are left out here:
`tests/system/test_disputes.py` makes those about a dispute."""
_ASSIGNED = re.compile(r"(\w+)=\$\((curl .*?)\s+\| jq -r \.([\w.]+)\)", re.DOTALL)


@dataclass
class Shell:
    """The part of a shell that the guide's examples use: variables, and `curl` with method, headers and body."""

    site: Site
    variables: dict[str, str] = field(default_factory=lambda: {"API": "", "KEY": OPERATOR_KEY})

    async def run(self, command: str) -> int:
        """Send the command's request, and keep what it assigns. Returns the status."""
        assigned = _ASSIGNED.fullmatch(command)
        answer = await self._curl(assigned[2] if assigned else command)
        if assigned:
            self.variables[assigned[1]] = reduce(getitem, assigned[3].split("."), answer.json())
        return int(answer.status_code)

    async def _curl(self, command: str) -> Any:
        words = shlex.split(re.sub(r"\$(\w+)", lambda found: self.variables[found[1]], command))
        words = words[: words.index("|")] if "|" in words else words
        given = dict(pairwise(words))
        headers = dict(value.split(": ", 1) for flag, value in pairwise(words) if flag == "-H")
        path = next(word for word in words if word.startswith("/"))
        body = given.get("-d")
        method = given.get("-X", "POST" if body else "GET")
        content = body.encode() if body else None
        return await self.site.client.request(method, f"/api/v1{path}", headers=headers, content=content)


def commands() -> Iterator[str]:
    """Every command of the guide that calls the API with what the guide itself makes, whole."""
    for command in _calls():
        if not BROUGHT & _named(command):
            yield command


def answering(brought: str) -> list[str]:
    """The commands about a thing that the guide does not make."""
    return [command for command in _calls() if brought in _named(command)]


def _named(command: str) -> set[str]:
    return set(re.findall(r"\$(\w+)", command))


def _calls() -> Iterator[str]:
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL):
        kept = "\n".join(line for line in block.split("\n") if not line.startswith("#"))
        for command in re.split(r"\n(?=[A-Z_]+=|curl )", kept.replace("\\\n", " ")):
            if '"$API/' in command:
                yield command.strip()


async def test_every_call_of_the_guide_works_as_it_is_written(
    site: Site, db_invoice: ServiceDb, db_payment: ServiceDb
) -> None:
    shell, answered = Shell(site), {}

    for command in commands():
        answered[command] = await shell.run(command)
        await carry({"invoice": db_invoice, "payment": db_payment})

    assert len(answered) >= 10
    assert {command: status for command, status in answered.items() if status not in (200, 201, 202)} == {}
