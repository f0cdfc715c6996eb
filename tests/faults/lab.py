"""The whole system as `./clinicpay up` runs it, with a proxy on every link; every process can be stopped."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2

from deploy.local import supervisor as supervising
from deploy.local.datadir import DataDir
from deploy.local.process import free_port
from deploy.local.system import Ports
from deploy.ops import database
from deploy.ops.verify.access import Access
from services.notification.emails.sending import LEASE
from services.payment.stripe.seal import Seal
from tests.faults.disk import Disk, small_disk
from tests.faults.proxy import Link
from tests.faults.system import FaultySystem, Keeper
from tests.faults.watch import Watch
from tests.running.system import until

CRASHED = ("gateway", "relay")
"""The processes, besides the services' own, that can crash at a numbered point."""


@dataclass
class Lab:
    """A running system, and the faults that a scenario can cause in it."""

    system: FaultySystem
    keeper: Keeper
    output: list[str]
    admin: dict[str, "asyncpg.Pool[asyncpg.Record]"] = field(default_factory=dict)
    """A superuser's pool for each service's database, not through the proxies."""
    clinic: dict[str, Any] = field(default_factory=dict)
    client_id: str = ""
    disk: Disk | None = None
    mails: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """(kind, Message-ID, text) of each mail that was read, by its file."""
    watch: Watch = field(default_factory=lambda: Watch(""))

    def link(self, name: str) -> Link:
        return self.system.links[name]

    @property
    def access(self) -> Access:
        """The access of `clinicpay verify` to this installation, not through the proxies."""
        secrets = self.system.secrets
        server = f"postgresql://127.0.0.1:{self.system.postgres.port}/postgres"
        return Access(
            databases=database.reader_dsns(server, secrets.role_passwords[database.AUDITOR]),
            kafka=self.system.kafka.bootstrap_servers,
            stripe_secret_key=self.system.stripe.secret_key,
            stripe_api_base=self.system.sandbox_url,
            seal=Seal.of(secrets.installation, secrets.metadata_key),
        )

    @property
    def processes(self) -> list[str]:
        """The Python processes of our own services."""
        return [name for name in self.keeper.statuses if "." in name or name in CRASHED]

    def pid(self, name: str) -> int:
        pid = self.keeper.statuses[name].pid
        assert pid is not None, f"{name} does not run"
        return pid

    def runs(self, name: str) -> bool:
        return self.keeper.statuses[name].state == "ready"

    async def all_run(self, seconds: float = 90) -> None:
        await until(lambda: all(self.runs(name) for name in self.keeper.statuses), seconds)

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(name), how)

    async def restart(self, name: str, how: signal.Signals = signal.SIGKILL) -> None:
        """Kill a process and wait until its successor is ready."""
        before = self.keeper.statuses[name].restarts
        self.kill(name, how)
        await until(lambda: self.keeper.statuses[name].restarts > before, 30)
        await until(lambda: self.runs(name), 60)

    @asynccontextmanager
    async def down(self, name: str, how: signal.Signals = signal.SIGKILL) -> AsyncIterator[None]:
        """Keep a process stopped while the block runs, then wait until it is ready again."""
        before = self.keeper.statuses[name].restarts
        self.keeper.gate(name).clear()
        try:
            self.kill(name, how)
            await until(lambda: self.keeper.statuses[name].restarts > before, 30)
            yield
        finally:
            self.keeper.gate(name).set()
        await until(lambda: self.runs(name), 90)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Freeze a process by SIGSTOP while the block runs."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    @contextmanager
    def clock_off(self, name: str, seconds: float) -> Iterator[None]:
        """Set a process's clock ahead, or back if below zero, while the block runs."""
        file = self.system.orders / f"{name}.clock"
        file.write_text(str(seconds))
        try:
            yield
        finally:
            file.unlink()

    async def sql(self, service: str, query: str, *arguments: object) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.admin[service].fetch(query, *arguments)]

    async def value(self, service: str, query: str, *arguments: object) -> Any:
        return await self.admin[service].fetchval(query, *arguments)

    async def control(self, method: str, path: str, body: Any = None) -> Any:
        """The sandbox's control API."""
        headers = {"Authorization": f"Bearer {self.system.stripe.secret_key}"}
        async with httpx2.AsyncClient(base_url=self.system.sandbox_url, headers=headers, timeout=20) as http:
            answer = await http.request(method, f"/_sandbox{path}", json=body)
        answer.raise_for_status()
        return answer.json()

    async def quiet(self) -> None:
        """Remove all faults."""
        for link in self.system.links.values():
            link.heal()
        for order in self.system.orders.glob("*.order"):
            order.unlink()
        for name in self.keeper.statuses:
            self.keeper.gate(name).set()
        await self.all_run()
        await self.control("DELETE", "/faults")
        await self.control("POST", "/clock", {"offset_seconds": 0})

    async def make_time_pass(self) -> None:
        """Make waiting e-mails due: later tries, and the ones that a killed process had claimed."""
        started = datetime.fromtimestamp(_started_at(self.pid("notification.worker")), UTC)
        await self.admin["notification"].execute(
            """
            UPDATE tasks SET claimed_until = NULL, due_at = least(due_at, now())
            WHERE state = 'due' AND kind <> 'email.payment_failed'
                AND (claimed_until IS NULL OR claimed_until - $1::interval < $2)
            """,
            LEASE,
            started,
        )

    async def sweep_now(self) -> None:
        """Make every live payment due for the sweeper's next run."""
        await self.admin["payment"].execute("UPDATE payments SET checked_at = now() - interval '2 hours'")


@asynccontextmanager
async def lab(settings: Mapping[str, str] | None = None) -> AsyncIterator[Lab]:
    """A new installation with one clinic and one client; stopped and deleted at the end.

    `settings` of each process, above those of the lab.
    """
    supervising.LONGEST_PAUSE, supervising.FIRST_TRIES = 0.4, 50
    with ExitStack() as ending:
        place = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="clinicpay-faults-")))
        os.chmod(place, 0o755)  # noqa: PTH101, S103  PostgreSQL's own account has to enter it
        system = FaultySystem(DataDir(place / "data"), Ports.choose(free_port()), demo=False)
        system.settings = dict(settings or {})
        disk = ending.enter_context(small_disk(system.postgres.moved_to or place / "data" / "postgres"))
        await system.open_links()
        output: list[str] = []
        keeper = Keeper(output.append)
        one = Lab(system, keeper, output, disk=disk)
        try:
            system.keep_all(keeper)
            system.keep_addresses()
            await asyncio.wait_for(keeper.all_ready(), 240)
            await _open_admin(one)
            one.watch = Watch(system.kafka.bootstrap_servers)
            yield one
        finally:
            await one.watch.close()
            for pool in one.admin.values():
                pool.terminate()
            await keeper.stop()
            for link in system.links.values():
                await link.close()


async def _open_admin(one: Lab) -> None:
    for service in ("invoice", "payment", "notification", "gateway"):
        dsn = urlunsplit(urlsplit(one.system.postgres.admin_dsn)._replace(path=f"/clinicpay_{service}"))
        one.admin[service] = await asyncpg.create_pool(dsn, min_size=0, max_size=4, timeout=10)


def _started_at(pid: int) -> float:
    """When a process started, in seconds since 1970."""
    boot = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime"))
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def order(one: Lab, process: str, **what: Any) -> None:
    """Order a process, by a file that its crash points read, to count its points or to die at one."""
    place = one.system.orders / f"{process}.order"
    aside = place.with_suffix(".new")
    aside.write_text(json.dumps(what))
    aside.replace(place)


def points_of(one: Lab, process: str) -> Sequence[str]:
    """The points that a counting process has passed, in order."""
    place = one.system.orders / f"{process}.points"
    return place.read_text().splitlines() if place.exists() else []
