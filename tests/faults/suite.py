"""`./clinicpay faults`: every fault, one after the other, on a running system."""

import asyncio
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import import_module
from itertools import chain

from deploy.local.demo.visitor import Visitor
from tests.faults import crash_points, drive, held_faults, whole_requests
from tests.faults.drive import Client
from tests.faults.lab import Lab, lab
from tests.faults.matrix import ROOT, SCENARIOS, Matrix, Scenario, chosen
from tests.faults.soak import Soak

PLAYS = (
    "lost_replies",
    "kafka_faults",
    "postgres_faults",
    "stripe_faults",
    "refund_faults",
    "dispute_faults",
    "restore_faults",
    "gone_faults",
)
ELSEWHERE = (
    "Proved by tests of their own, and not repeated here: two handlers of one record at once "
    "(`tests/service/test_chassis_consume.py::test_two_handlers_of_one_batch_at_once_have_one_effect`), records that "
    "cannot be decoded (`…::test_what_cannot_be_decoded_is_parked_whole`), a consumer that stands still "
    "(`tests/unit/test_chassis_progress.py`), fifty clicks at once "
    "(`tests/service/test_payment_checkout.py::test_fifty_clicks_at_once_make_one_intent`).",
)
QUICK_SECONDS = 15
RESULT = ROOT / "docs" / "faults.md"


Part = Callable[["Options", Matrix, Lab, Client], Awaitable[list[Scenario]]]
"""Counts its scenarios on a system where nothing is struck yet."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a run. `seconds` and `seed` are the soak's."""

    quick: bool = False
    only: str = ""
    seconds: int = 600
    seed: int = 1


async def run(options: Options, say: Callable[[str], None] | None = None) -> Matrix:
    """Run the chosen scenarios. A run of the whole suite writes the matrix to docs/faults.md.

    The whole suite waits most of the time, so it is played on three systems side by side.
    """
    for play in PLAYS:
        import_module(f"tests.faults.{play}")
    matrix = Matrix(say or _say)
    with _ended_by_sigterm():
        await _run(options, matrix)
    matrix.say(matrix.summary())
    if not options.quick and not options.only:
        matrix.write(RESULT, ELSEWHERE)
    return matrix


async def _run(options: Options, matrix: Matrix) -> None:
    parts = ((_plays, _held_acts), (_crashes,), (_whole_requests,))
    systems = [tuple(chain(*parts))] if options.quick or options.only else parts
    left: deque[Scenario] = deque()
    counted = asyncio.Barrier(len(systems))
    async with asyncio.TaskGroup() as all_of_them:
        for counts in systems:
            all_of_them.create_task(_on_a_system(options, matrix, counts, left, counted))


async def _on_a_system(
    options: Options, matrix: Matrix, counts: Sequence[Part], left: deque[Scenario], counted: asyncio.Barrier
) -> None:
    """Count these parts' scenarios, and play what is left of all parts once all are counted."""
    async with lab() as one, Visitor(one.system.public_url) as visitor:
        client = Client(one, visitor)
        await drive.put_on(one)
        await client.log_in()
        own: deque[Scenario] = deque()
        for part in counts:
            # A whole request is compared with its count, which is of this system.
            (own if part is _whole_requests else left).extend(await part(options, matrix, one, client))
        await counted.wait()
        while left or own:
            await matrix.play((left or own).popleft(), one, client)


async def _crashes(options: Options, matrix: Matrix, one: Lab, client: Client) -> list[Scenario]:
    if not _wanted(options, crash_points.AREA):
        return []
    points = await crash_points.count(one, client)
    matrix.say(f"{len(points)} crash points counted")
    tried = crash_points.spread(points) if options.quick else points
    scenarios = [crash_points.scenario(number, point) for number, point in enumerate(tried, 1)]
    return chosen(scenarios, quick=options.quick, only=options.only)


def _wanted(options: Options, area: str) -> bool:
    return fnmatchcase(area.lower(), f"*{options.only.lower().split(':')[0]}*")


async def _whole_requests(options: Options, matrix: Matrix, one: Lab, _: Client) -> list[Scenario]:
    if not _wanted(options, whole_requests.AREA):
        return []
    scenarios = await whole_requests.count(one, quick=options.quick)
    matrix.say(f"{len(scenarios)} points of whole requests counted")
    return chosen(scenarios, quick=options.quick, only=options.only)


async def _held_acts(options: Options, matrix: Matrix, one: Lab, client: Client) -> list[Scenario]:
    if not _wanted(options, held_faults.AREA):
        return []
    scenarios = await held_faults.count(one, client, quick=options.quick)
    matrix.say(f"{len(scenarios)} points of held acts counted")
    return chosen(scenarios, quick=options.quick, only=options.only)


async def _plays(options: Options, matrix: Matrix, _: Lab, __: Client) -> list[Scenario]:
    return chosen([*SCENARIOS, _soak(options, matrix)], quick=options.quick, only=options.only)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Stop everything on SIGTERM, as on Ctrl-C: otherwise the small disk would stay mounted."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def _soak(options: Options, matrix: Matrix) -> Scenario:
    seconds = min(options.seconds, QUICK_SECONDS) if options.quick else options.seconds

    async def play(lab: Lab, _: Client) -> str:
        return await Soak(lab, options.seed, seconds, matrix.say).run()

    fault = f"kill -9 and SIGSTOP at random for {seconds} s under load, seed {options.seed}"
    return Scenario("Processes", fault, play, quick=True, longest=seconds + 400)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
