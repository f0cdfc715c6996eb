"""Starts units in the order of what they need, watches them, starts again what dies, stops everything."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from deploy.local.errors import EmbeddedError
from deploy.local.process import Child

FIRST_TRIES = 4
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
STEADY_AFTER = 60.0
ASK_EVERY, ASK_AGAIN_EVERY = 0.1, 5.0
MISSES = 3


class Unit(Protocol):
    """A process that is kept running."""

    @property
    def name(self) -> str: ...

    @property
    def after(self) -> Sequence[str]:
        """Names of units and steps that must have been ready once before this one starts."""
        ...

    @property
    def needed(self) -> bool:
        """True if other units need it until they have ended: it is stopped last."""
        ...

    async def start(self) -> Child:
        """Start its process; called again when that has died."""
        ...

    async def ready(self) -> bool: ...

    async def stop(self) -> None: ...


@dataclass
class Status:
    """The state of a unit or step; `state` is waiting, starting, ready, failing or died.

    seconds     from the supervisor's start until it was ready first
    """

    name: str
    state: str = "waiting"
    pid: int | None = None
    restarts: int = 0
    seconds: float | None = None


class Supervisor:
    """`say` gets a line for people whenever something happens to a unit that was ready before."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._units: list[Unit] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._reached: dict[str, asyncio.Event] = {}
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._began = asyncio.get_running_loop().time()
        self.statuses: dict[str, Status] = {}

    def keep(self, unit: Unit) -> None:
        """Start the unit once all of its `after` are ready, and keep it running."""
        self._units.append(unit)
        self._begin(unit.name, self._keep(unit))

    def once(self, name: str, after: Iterable[str], action: Callable[[], Awaitable[object]]) -> None:
        """Run a step once all of its `after` are ready."""
        self._begin(name, self._once(name, after, action))

    async def all_ready(self) -> None:
        """Wait until everything was ready once. Raises a step's error, or EmbeddedError for a unit that keeps dying."""
        everything = asyncio.create_task(self._needs(list(self._reached)))
        both: set[asyncio.Future[None]] = {everything, self._failure}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        everything.cancel()
        if self._failure.done():
            self._failure.result()

    async def broken(self) -> None:
        """Wait until something cannot go on; raises what it was."""
        await asyncio.shield(self._failure)

    async def stop(self) -> None:
        """Stop all units at once, and after them the units that they needed."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for needed in (False, True):
            await asyncio.gather(*(unit.stop() for unit in self._units if unit.needed is needed))

    def _begin(self, name: str, work: Awaitable[None]) -> None:
        self._reached[name] = asyncio.Event()
        self.statuses[name] = Status(name)
        self._tasks.append(asyncio.create_task(self._guarded(work)))

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:
            if not self._failure.done():
                self._failure.set_exception(error)

    async def _once(self, name: str, after: Iterable[str], action: Callable[[], Awaitable[object]]) -> None:
        await self._needs(after)
        self.statuses[name].state = "starting"
        await action()
        self._mark_ready(name)

    async def _keep(self, unit: Unit) -> None:
        await self._needs(unit.after)
        status, pause, loop = self.statuses[unit.name], SHORTEST_PAUSE, asyncio.get_running_loop()
        while True:
            status.state = "starting"
            child = await self._start(unit)
            started, status.pid = loop.time(), child.pid
            watching = asyncio.create_task(self._watch(unit))
            try:
                code = await child.wait()
            finally:
                watching.cancel()
            pause = SHORTEST_PAUSE if loop.time() - started > STEADY_AFTER else min(pause * 2, LONGEST_PAUSE)
            self._died(unit.name, child, code)
            await asyncio.sleep(pause)

    async def _start(self, unit: Unit) -> Child:
        """Its new process. A unit that was ready once is tried until it starts; the first time, failing is final."""
        while True:
            try:
                return await unit.start()
            except EmbeddedError as error:
                if not self._reached[unit.name].is_set():
                    raise
                self._say(str(error))
                await asyncio.sleep(LONGEST_PAUSE)

    def _died(self, name: str, child: Child, code: int) -> None:
        """Note the death and say it; EmbeddedError for a unit that dies again and again and never was ready."""
        status = self.statuses[name]
        status.state, status.pid = "died", None
        status.restarts += 1
        if not self._reached[name].is_set() and status.restarts == FIRST_TRIES:
            raise EmbeddedError(f"{name} does not start: {child.last_words()} (log: {child.log})")
        self._say(f"{name} ended ({_how(code)}); starting it again")

    async def _watch(self, unit: Unit) -> None:
        """Ask a running unit whether it is ready: often until it is, then now and then."""
        status, misses = self.statuses[unit.name], 0
        while True:
            if await unit.ready():
                self._mark_ready(unit.name)
                misses = 0
            elif status.state == "ready" and (misses := misses + 1) >= MISSES:
                status.state = "failing"
                self._say(f"{unit.name} runs, but is not ready")
            await asyncio.sleep(ASK_AGAIN_EVERY if status.state == "ready" else ASK_EVERY)

    def _mark_ready(self, name: str) -> None:
        status = self.statuses[name]
        if self._reached[name].is_set() and status.state != "ready":
            self._say(f"{name} is ready again")
        if status.seconds is None:
            status.seconds = asyncio.get_running_loop().time() - self._began
        status.state = "ready"
        self._reached[name].set()

    async def _needs(self, names: Iterable[str]) -> None:
        for name in names:
            await self._reached[name].wait()


def _how(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
