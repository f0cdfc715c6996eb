"""The parts of `./clinicpay up`, with a proxy on every link and a gate before every start."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.kafka import EmbeddedKafka
from deploy.local.process import Child, free_port
from deploy.local.supervisor import Supervisor, Unit
from deploy.local.system import Environment, System
from deploy.local.units import PythonUnit
from tests.faults.proxy import Link

UNLIMITED = dict.fromkeys(
    (
        "REQUESTS_PER_MINUTE",
        "DECLINES_PER_HOUR",
        "STARTS_PER_HOUR",
        "STRIPE_CALLS_PER_SECOND",
        "STRIPE_CALLS_PER_SECOND_OF_ACCOUNT",
    ),
    "1000000",
)
"""One client does here what a thousand do elsewhere."""


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
    settings: Environment = field(default_factory=dict)

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
            env = {**inner(), **UNLIMITED, **self.settings, "FAULT_ORDERS": str(self.orders)}
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
