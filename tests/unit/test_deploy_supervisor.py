"""The supervisor, over real little processes."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.errors import EmbeddedError
from deploy.local.process import Child
from deploy.local.supervisor import Supervisor


@dataclass
class Shell:
    """A unit that runs a line of sh; ready while the process lives and `well` is true."""

    name: str
    line: str
    place: Path
    order: list[str]
    after: Sequence[str] = ()
    needed: bool = False
    well: bool = True
    child: Child | None = field(default=None, init=False)

    async def start(self) -> Child:
        self.order.append(f"start {self.name}")
        log = self.place / f"{self.name}.log"
        self.child = await Child.start(["/bin/sh", "-c", self.line], log=log, env=os.environ, cwd=self.place)
        return self.child

    async def ready(self) -> bool:
        return self.well and self.child is not None and self.child.alive

    async def stop(self) -> None:
        self.order.append(f"stop {self.name}")
        if self.child:
            await self.child.stop(within=2)


class House:
    """A supervisor, what it said, and the order of what happened."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.order: list[str] = []
        self.output: asyncio.Queue[str] = asyncio.Queue()
        self.supervisor = Supervisor(self.output.put_nowait)

    def keep(
        self, name: str, line: str = "exec sleep 600", *, after: Sequence[str] = (), needed: bool = False
    ) -> Shell:
        shell = Shell(name, line, self.place, self.order, after, needed)
        self.supervisor.keep(shell)
        return shell

    async def hears(self, *lines: str) -> None:
        for line in lines:
            assert await asyncio.wait_for(self.output.get(), 10) == line


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_units_start_after_what_they_need_and_stop_before_it(house: House) -> None:
    async def step() -> None:
        house.order.append("step")

    house.keep("web", after=["schema"])
    house.supervisor.once("schema", ["database"], step)
    database = house.keep("database", needed=True)
    await asyncio.wait_for(house.supervisor.all_ready(), 10)
    await house.supervisor.stop()
    assert house.order == ["start database", "step", "start web", "stop web", "stop database"]
    assert database.child and not database.child.alive


async def test_what_dies_is_started_again_and_said(house: House) -> None:
    unit = house.keep("worker")
    await asyncio.wait_for(house.supervisor.all_ready(), 10)
    first = unit.child
    assert first
    os.kill(first.pid, signal.SIGKILL)
    await house.hears("worker ended (killed by SIGKILL); starting it again", "worker is ready again")
    assert unit.child is not first
    assert house.supervisor.statuses["worker"].restarts == 1
    await house.supervisor.stop()


async def test_what_never_starts_ends_the_start_with_its_last_words(house: House) -> None:
    house.keep("worker", "echo first; echo DATABASE_URL is missing; exit 2").well = False
    with pytest.raises(
        EmbeddedError, match=r"^worker does not start: DATABASE_URL is missing \(log: .*worker\.log\)$"
    ):
        await asyncio.wait_for(house.supervisor.all_ready(), 20)
    await house.supervisor.stop()


async def test_a_failing_step_ends_the_start(house: House) -> None:
    async def step() -> None:
        raise EmbeddedError("no")

    house.supervisor.once("schema", [], step)
    with pytest.raises(EmbeddedError, match="no"):
        await asyncio.wait_for(house.supervisor.all_ready(), 10)
    await house.supervisor.stop()


async def test_who_does_not_stop_is_killed_with_all_it_started(house: House) -> None:
    line = "trap '' TERM; sleep 600 & echo $!; while :; do wait; done"
    unit = house.keep("stubborn", line)
    await asyncio.wait_for(house.supervisor.all_ready(), 10)
    assert unit.child
    async with asyncio.timeout(10):
        while not (grandchild := unit.child.log.read_text().strip()):
            await asyncio.sleep(0.01)
    await house.supervisor.stop()
    assert not unit.child.alive
    async with asyncio.timeout(10):
        while _runs(int(grandchild)):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
