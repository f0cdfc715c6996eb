"""The system under measurement: all that `clinicpay up` runs, as real processes on a data directory of its own."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from deploy.local.datadir import DataDir
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Child, free_port
from deploy.local.supervisor import Supervisor, Unit
from deploy.local.system import Environment, Ports, System
from deploy.local.units import PythonUnit
from deploy.ops import database
from services.payment.stripe.seal import Seal
from tests.bench import loadgen
from tests.bench.cpu import Usage
from tests.bench.figures import SPECS, Result
from tests.bench.verify.population import tidy

if TYPE_CHECKING:
    from tests.bench.webhooks import Template

UNLIMITED = dict.fromkeys(
    (
        "REQUESTS_PER_MINUTE",
        "WEBHOOKS_PER_MINUTE",
        "DECLINES_PER_HOUR",
        "STARTS_PER_HOUR",
        "STRIPE_CALLS_PER_SECOND",
        "STRIPE_CALLS_PER_SECOND_OF_ACCOUNT",
    ),
    "100000000",
)
"""One load generator does here what a thousand clients do elsewhere."""
READY_SECONDS = 60
MEASURED = {"track_commit_timestamp": "on"}
"""When a row became visible to others is asked of PostgreSQL, so that no polling blurs it."""


class MeasuredPostgres(EmbeddedPostgres):
    """Durable, with the settings of every embedded installation, and keeps when each transaction was committed."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        super().__init__(data_dir, log=log)
        self._settings = self._settings | MEASURED


@dataclass
class MeasuredSystem(System):
    """The units of `clinicpay up`. `more` are variables for one unit, read at its next start."""

    more: dict[str, dict[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.postgres = MeasuredPostgres(self.data.path / "postgres", self.data.log("postgres"))

    def units(self) -> list[PythonUnit]:
        units = super().units()
        for unit in units:
            unit.env = self._with_more(unit.name, unit.env)
        return units

    def _with_more(self, name: str, env: Callable[[], Environment]) -> Callable[[], Environment]:
        return lambda: {**env(), **UNLIMITED, **self.more.get(name, {})}


class Keeper(Supervisor):
    """A supervisor whose units can be held down."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(say)
        self._gates: dict[str, asyncio.Event] = {}
        self._kept: dict[str, Unit] = {}

    def keep(self, unit: Unit) -> None:
        self._gates[unit.name] = asyncio.Event()
        self._gates[unit.name].set()
        self._kept[unit.name] = unit
        super().keep(unit)

    async def _start(self, unit: Unit) -> Child:
        await self._gates[unit.name].wait()
        return await super()._start(unit)

    async def put_down(self, name: str) -> None:
        self._gates[name].clear()
        await self._kept[name].stop()
        await self._until(lambda: self.statuses[name].state in ("died", "starting"))

    async def put_up(self, name: str) -> None:
        self._gates[name].set()
        await self._until(lambda: self.statuses[name].state == "ready")

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(READY_SECONDS):
            while not true():
                await asyncio.sleep(0.02)


@dataclass
class Bench:
    """The input of a figure's work: the running system, its place, and where results go.

    invoices    how many one settle run pays
    quick       smaller sets and shorter windows
    """

    data: Path
    invoices: int
    quick: bool
    say: Callable[[str], None]
    report: Callable[[Result], None]
    system: MeasuredSystem = field(init=False)
    limits: dict[str, float] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    seeded: int = 0
    """Invoices with numbers 1 to this are in the databases, made by `seed.add_live`."""
    history: int = 0
    """Older invoices in the databases, made by `seed.add_history`."""
    _template: "Template | None" = None

    def __post_init__(self) -> None:
        # Mail is paused from the start: while invoices are settled, nothing but receipts being queued is measured.
        self.system = MeasuredSystem(
            DataDir(self.data), Ports.choose(free_port()), demo=False, more={"notification.worker": PAUSED}
        )
        self._supervisor: Keeper | None = None

    @property
    def window(self) -> float:
        """Seconds for which a steady rate is held."""
        return 5.0 if self.quick else 20.0

    async def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.system.keep_addresses()
        self._supervisor = Keeper(self.say)
        self.system.keep_all(self._supervisor)
        await self._supervisor.all_ready()

    async def stop(self) -> None:
        """Stop all processes. The data stays."""
        if self._supervisor:
            await self._supervisor.stop()
            self._supervisor = None

    @property
    def pids(self) -> dict[str, int]:
        """Process by part: `postgres`, `kafka`, `payment.worker`, …"""
        return {name: status.pid for name, status in self._keeper.statuses.items() if status.pid}

    @property
    def _keeper(self) -> "Keeper":
        assert self._supervisor, "started"
        return self._supervisor

    def usage(self) -> Usage:
        return Usage.now(self.pids)

    def address(self, part: str) -> str:
        """HOST:PORT of a Python process, such as `payment.api`."""
        return f"127.0.0.1:{self.system.ports.inner[part]}"

    def admin_dsn(self, service: str) -> str:
        return database.with_database(self.system.postgres.admin_dsn, database.database_name(service))

    @asynccontextmanager
    async def admin(self, service: str) -> AsyncIterator[Any]:
        """A superuser's connection to a service's database."""
        connection = await asyncpg.connect(self.admin_dsn(service))
        try:
            yield connection
        finally:
            await connection.close()

    async def tidy(self) -> None:
        """Do what autovacuum and checkpoints would do in the middle of the next figure."""
        for service in database.SERVICES:
            async with self.admin(service) as admin:
                await tidy(admin)

    @contextmanager
    def held(self, part: str) -> Iterator[None]:
        """The part's process stands still inside the block, its connections open. For seconds, not minutes."""
        pid = self.pids[part]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    async def put_down(self, part: str) -> None:
        """Stop a part's process; it stays down until `put_up`."""
        await self._keeper.put_down(part)

    async def put_up(self, part: str) -> None:
        """Start it again, with what `system.more` now says, and wait until it is ready."""
        await self._keeper.put_up(part)

    async def template(self) -> "Template":
        """The template of webhooks, made on the first call."""
        from tests.bench import webhooks

        if self._template is None:
            kept = self.system.secrets
            self._template = await webhooks.template(Seal(kept.installation, (kept.metadata_key.encode(),)))
        return self._template

    async def load_program(self) -> Path:
        """The load generator, built on the first call."""
        program = self.data / "loadgen" / "loadgen"
        return program if program.exists() else await asyncio.to_thread(loadgen.build, program.parent)

    async def send_webhooks(
        self,
        file: Path,
        *,
        connections: int,
        rate: float = 0,
        seconds: float = 0,
        log: Path | None = None,
    ) -> loadgen.Load:
        """Send the file's webhooks to payment's edge, as `loadgen.send` does."""
        program, address = await self.load_program(), self.address("payment.api")
        return await loadgen.send(
            program, address, file, connections=connections, rate=rate, seconds=seconds, log=log
        )

    @contextmanager
    def aside(self, invoices: int) -> Iterator[dict[str, Result]]:
        """Figures that are found inside the block are kept in what it is given, and reported to nobody."""
        before = self.invoices, self.results, self.report
        self.invoices, self.results, self.report = invoices, {}, lambda _: None
        try:
            yield self.results
        finally:
            self.invoices, self.results, self.report = before

    def found(
        self, figure: str, value: float, limit: float | None = None, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Keep and report a figure. Its limit is the one measured in this run, unless another is given."""
        spec = SPECS[figure]
        limit = limit if limit is not None else self.limits.get(spec.limit or "")
        result = Result(spec, value, limit, self.quick, dict(detail or {}))
        self.results[figure] = result
        self.report(result)


PAUSED = {"MAIL_PAUSED": "1"}
