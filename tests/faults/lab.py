"""The whole system as `./clinicpay up` runs it, with a proxy on every link and a switch on every process."""

import asyncio
import contextlib
import json
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx2

from deploy import database
from deploy.embedded import supervisor as supervising
from deploy.embedded.datadir import DataDir
from deploy.embedded.kafka import EmbeddedKafka
from deploy.embedded.process import Child, free_port
from deploy.embedded.supervisor import Supervisor, Unit
from deploy.embedded.system import Environment, Ports, System
from deploy.embedded.units import PythonUnit
from deploy.verify import Access
from services.notification.jobs import LEASE
from tests.faults.disk import Disk, small_disk
from tests.faults.proxy import Link
from tests.faults.watch import Watch
from tests.running import until

CRASHED = ("gateway", "relay")
"""Besides the services' own processes, those that a fault may hit at a numbered point."""


class ProxiedKafka(EmbeddedKafka):
    """A broker with a second listener, whose advertised address is a proxy's."""

    def __init__(self, data_dir: Path, log: Path) -> None:
        super().__init__(data_dir, log=log)
        self.behind = free_port()
        self.advertised = 0

    def _configure(self, runtime: list[str]) -> None:
        super()._configure(runtime)
        lines = dict(line.split("=", 1) for line in self._properties.read_text().splitlines())
        lines["listeners"] += f",PROXIED://127.0.0.1:{self.behind}"
        lines["advertised.listeners"] += f",PROXIED://127.0.0.1:{self.advertised}"
        lines["listener.security.protocol.map"] += ",PROXIED:PLAINTEXT"
        self._properties.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


class Keeper(Supervisor):
    """A supervisor whose units can be held down. Its pauses are short: here processes die on purpose."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(say)
        self._may_start: dict[str, asyncio.Event] = {}

    def gate(self, name: str) -> asyncio.Event:
        if name not in self._may_start:
            self._may_start[name] = asyncio.Event()
            self._may_start[name].set()
        return self._may_start[name]

    async def _start(self, unit: Unit) -> Child:
        await self.gate(unit.name).wait()
        return await super()._start(unit)


@dataclass
class FaultySystem(System):
    """Every service reaches PostgreSQL, Kafka and the sandbox through a link that can fail."""

    links: dict[str, Link] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        kafka = ProxiedKafka(self.data.path / "kafka", self.data.log("kafka"))
        self.kafka: ProxiedKafka = kafka
        self.orders = self.data.path / "orders"
        self.orders.mkdir(exist_ok=True)

    async def open_links(self) -> None:
        names = [unit.name for unit in super().units()]
        for name in names:
            await self._link(f"postgres of {name}", lambda: self.postgres.port)
        await self._link("kafka", lambda: self.kafka.behind)
        await self._link("stripe", lambda: self.ports.sandbox)
        self.kafka.advertised = self.links["kafka"].port

    async def _link(self, name: str, target: Callable[[], int]) -> None:
        self.links[name] = await Link.open(name, target)

    def units(self) -> list[PythonUnit]:
        units = super().units()
        for unit in units:
            unit.env = self._linked(unit.name, unit.env)
            if unit.argv[0].startswith("services."):
                unit.argv = ["tests.faults.crashing", unit.name, *unit.argv]
        return units

    def another(self, name: str, suffix: str) -> PythonUnit:
        """One more process of a unit, a member of the same consumer groups."""
        unit = next(unit for unit in self.units() if unit.name == name)
        inner = unit.env
        unit.name, unit.port, unit.log = f"{name}{suffix}", free_port(), self.data.log(f"{name}{suffix}")
        unit.env = lambda: {**inner(), "KAFKA_GROUP_INSTANCE_ID": f"{name}{suffix}"}
        return unit

    def _linked(self, name: str, inner: Callable[[], Environment]) -> Callable[[], Environment]:
        def environment() -> Environment:
            env = {**inner(), "FAULT_ORDERS": str(self.orders), "REQUESTS_PER_MINUTE": "1000000"}
            database = f"127.0.0.1:{self.links[f'postgres of {name}'].port}"
            for variable in ("DATABASE_URL", "RELAY_DATABASE_URLS"):
                if variable in env:
                    env[variable] = env[variable].replace(f"127.0.0.1:{self.postgres.port}", database)
            if "KAFKA_BOOTSTRAP_SERVERS" in env:
                env["KAFKA_BOOTSTRAP_SERVERS"] = f"127.0.0.1:{self.links['kafka'].port}"
            if "STRIPE_API_BASE" in env:
                env["STRIPE_API_BASE"] = f"http://127.0.0.1:{self.links['stripe'].port}"
            return env

        return environment


@dataclass
class Lab:
    """A running, faulty system, and what a scenario may do to it."""

    system: FaultySystem
    keeper: Keeper
    said: list[str]
    admin: dict[str, "asyncpg.Pool[asyncpg.Record]"] = field(default_factory=dict)
    """A superuser's pool for each service's database, past all links."""
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
        """How `clinicpay verify` reads this installation: past all links."""
        secrets = self.system.secrets
        server = f"postgresql://127.0.0.1:{self.system.postgres.port}/postgres"
        return Access(
            databases=database.auditor_dsns(server, secrets.role_passwords[database.AUDITOR]),
            kafka=self.system.kafka.bootstrap_servers,
            stripe_secret_key=self.system.stripe.secret_key,
            stripe_api_base=self.system.sandbox_url,
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
        """Keep a process away for as long as the block runs, and wait until it is back after."""
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
        """Stop a process in its tracks, by SIGSTOP, while the block runs."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

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
        """Take all faults away."""
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
        """What waits for a minute is due now: letters that a process held when it was killed, and later tries."""
        started = datetime.fromtimestamp(_started_at(self.pid("notification.worker")), UTC)
        await self.admin["notification"].execute(
            """
            UPDATE deliveries SET claimed_until = NULL, next_attempt_at = least(next_attempt_at, now())
            WHERE state IN ('due', 'waiting') AND template <> 'payment_failed'
                AND (claimed_until IS NULL OR claimed_until - $1::interval < $2)
            """,
            LEASE,
            started,
        )

    async def sweep_now(self) -> None:
        """Let the sweeper find every live payment due at its next run."""
        await self.admin["payment"].execute("UPDATE payments SET checked_at = now() - interval '2 hours'")


@asynccontextmanager
async def lab() -> AsyncIterator[Lab]:
    """A new installation with one clinic and one client; stopped and thrown away at the end."""
    supervising.LONGEST_PAUSE, supervising.FIRST_TRIES = 0.4, 50
    with ExitStack() as ending:
        place = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="clinicpay-faults-")))
        os.chmod(place, 0o755)  # noqa: PTH101, S103  PostgreSQL's own account has to enter it
        system = FaultySystem(DataDir(place / "data"), Ports.choose(free_port()), demo=False)
        disk = ending.enter_context(small_disk(system.postgres.moved_to or place / "data" / "postgres"))
        await system.open_links()
        said: list[str] = []
        keeper = Keeper(said.append)
        one = Lab(system, keeper, said, disk=disk)
        try:
            system.keep_all(keeper)
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
    """Tell a process, by a file that its crash points read, what to do: count its points, or die at one."""
    place = one.system.orders / f"{process}.order"
    aside = place.with_suffix(".new")
    aside.write_text(json.dumps(what))
    aside.replace(place)


def points_of(one: Lab, process: str) -> Sequence[str]:
    """The points that a counting process has passed, in order."""
    place = one.system.orders / f"{process}.points"
    return place.read_text().splitlines() if place.exists() else []
