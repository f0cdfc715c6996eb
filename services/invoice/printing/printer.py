"""Printing off the event loop: a few kept processes, each with one document at a time."""

import asyncio
import hashlib
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from uuid import UUID

import msgspec

from services.chassis.errors import Unavailable
from services.invoice.printing.glyphs import FONTS
from services.invoice.printing.paper import Paper
from services.invoice.printing.press import FAILED, HERE, LENGTH, STANDARDS, STANDARDS_WITH_FILES

PRESSES = 2
WAIT_SECONDS = 8.0
"""How long a document waits for its turn."""
SECONDS = 16.0
"""How long it may take from then on. The gateway waits a little longer than for both."""
MOST_WAITING, MOST_OF_A_CLINIC = 60, 20
"""Documents that wait or are printed, of all clinics and of one. One more is refused at once."""
_ROOT = Path(__file__).parents[3]


class NotPrinted(Unavailable):
    """The PDF could not be made now: too many are asked for, or the process that makes it ended."""

    code = "pdf_unavailable"

    def __init__(self) -> None:
        super().__init__("The PDF cannot be made at the moment. Please try again shortly.", retry_after=2)


@dataclass(slots=True)
class _Turns:
    """A clinic's documents: one is printed, the others wait, so that no clinic has all processes."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    count: int = 0


class Printer:
    """Makes PDFs. The processes begin with the first document, and end with `closing`."""

    def __init__(
        self, presses: int = PRESSES, seconds: float = SECONDS, wait_seconds: float = WAIT_SECONDS
    ) -> None:
        self._seconds, self._wait_seconds = seconds, wait_seconds
        self._may_print = asyncio.Semaphore(presses)
        self._turns: dict[UUID, _Turns] = {}
        self.idle: list[Process] = []

    async def print(self, paper: Paper, clinic_id: UUID) -> bytes:
        """The PDF, the same bytes for the same document. Raises `NotPrinted`."""
        asked = msgspec.json.encode(paper)
        clock = asyncio.get_running_loop()
        with self._turn(clinic_id) as turn:
            try:
                async with asyncio.timeout(self._wait_seconds) as time, turn.lock, self._may_print:
                    time.reschedule(clock.time() + self._seconds)
                    answer = await self._ask(LENGTH.pack(len(asked)) + asked)
            except (TimeoutError, OSError, EOFError) as error:
                raise NotPrinted from error
        if answer.startswith(FAILED):
            raise NotPrinted
        return answer[1:]

    @contextmanager
    def _turn(self, clinic_id: UUID) -> Iterator[_Turns]:
        """A place in the queue. Raises `NotPrinted` when there is none."""
        turn = self._turns.setdefault(clinic_id, _Turns())
        waiting = sum(each.count for each in self._turns.values())
        if turn.count >= MOST_OF_A_CLINIC or waiting >= MOST_WAITING:
            raise NotPrinted
        turn.count += 1
        try:
            yield turn
        finally:
            turn.count -= 1
            if not turn.count:
                del self._turns[clinic_id]

    async def _ask(self, asked: bytes) -> bytes:
        press = await self._press()
        assert press.stdin is not None and press.stdout is not None
        try:
            press.stdin.write(asked)
            await press.stdin.drain()
            (length,) = LENGTH.unpack(await press.stdout.readexactly(LENGTH.size))
            answer = await press.stdout.readexactly(length)
        except BaseException:
            await _end(press)
            raise
        self.idle.append(press)
        return answer

    async def _press(self) -> Process:
        while self.idle:
            if (press := self.idle.pop()).returncode is None:
                return press
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.invoice.printing.press"),
            cwd=_ROOT,
            env={"PYTHONDONTWRITEBYTECODE": "1"},  # none of the service's secrets
            stdin=PIPE,
            stdout=PIPE,
        )

    @asynccontextmanager
    async def closing(self, _: object = None) -> AsyncIterator[None]:
        """The lifespan of an app that prints: its processes end with it."""
        yield
        while self.idle:
            await _end(self.idle.pop())


async def _end(press: Process) -> None:
    if press.returncode is None:
        press.kill()
    await press.wait()


def etag(paper: Paper) -> str:
    """The same for the same bytes. It changes with the document, the layout, the fonts and the library."""
    return f'"{hashlib.sha256(_made_of() + msgspec.json.encode(paper)).hexdigest()[:32]}"'


@cache
def _made_of() -> bytes:
    parts = [version("typst").encode(), *map(str.encode, [*STANDARDS, *STANDARDS_WITH_FILES])]
    files = [HERE / "paper.typ", HERE / "glyphs.py", HERE / "factur_x.py", *sorted(FONTS.glob("*.ttf"))]
    return hashlib.sha256(b"\0".join([*parts, *(each.read_bytes() for each in files)])).digest()
