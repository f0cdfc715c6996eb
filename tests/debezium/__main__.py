"""`python -m tests.debezium --port … --data …`: what `clinicpay up` runs, with Debezium in the relay's place."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import asyncpg
import typer

from deploy.local.connect import CONFIGURATION, EmbeddedConnect
from deploy.local.process import Child
from deploy.local.screen import Screen
from deploy.local.supervisor import Supervisor
from deploy.local.system import WORKED, System
from deploy.local.units import PythonUnit
from deploy.local.up import up
from deploy.ops import database

# A copy of every row that an outbox ever had, to compare with what came to Kafka.
COPY = """
CREATE TABLE outbox_copy (LIKE outbox);
GRANT SELECT ON outbox_copy TO app_auditor;
CREATE FUNCTION copy_outbox() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO public.outbox_copy VALUES (NEW.*);
    RETURN NEW;
END $$;
CREATE TRIGGER copied AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION copy_outbox();
"""


@dataclass
class ConnectUnit:
    """Kafka Connect as `up` runs its other parts."""

    system: System
    name: str = "connect"
    after: Sequence[str] = ("migrations", "topics")
    needed: bool = True
    connect: EmbeddedConnect | None = None

    async def start(self) -> Child:
        data, passwords = self.system.data, self.system.secrets.role_passwords
        environment = {f"{name.upper()}_RELAY_PASSWORD": passwords[f"{name}_relay"] for name in WORKED}
        environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": self.system.kafka.bootstrap_servers,
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(urlsplit(self.system.postgres.admin_dsn).port),
        }
        self.connect = EmbeddedConnect(data.path / "connect", environment, data.log("connect"))
        await self.connect.start()
        return self.connect.child

    async def ready(self) -> bool:
        return self.connect is not None and await self.connect.ready()

    async def stop(self) -> None:
        if self.connect:
            await self.connect.stop()


class DebeziumSystem(System):
    """No relay: Connect sends, and the sweep stands where the relay stood."""

    def keep_all(self, supervisor: Supervisor) -> None:
        super().keep_all(supervisor)
        supervisor.keep(ConnectUnit(self))

    def units(self) -> list[PythonUnit]:
        units = super().units()
        (relay,) = (unit for unit in units if unit.name == "relay")
        relay.argv = ["services.chassis.outbox.sweep"]
        return units

    async def _migrate(self) -> None:
        await super()._migrate()
        for service in WORKED:
            await self._enable(service)

    async def _enable(self, service: str) -> None:
        name = database.database_name(service)
        admin = await asyncpg.connect(database.with_database(self.postgres.admin_dsn, name))
        try:
            if not await admin.fetchval("SELECT true FROM pg_publication"):
                enable = (CONFIGURATION / "enable.sql").read_text()
                await admin.execute(enable.replace(':"relay"', f"{service}_relay") + COPY)
        finally:
            await admin.close()


def main(port: Annotated[int, typer.Option()], data: Annotated[Path, typer.Option()]) -> None:
    asyncio.run(up(port, data, demo=True, screen=Screen(), kind=DebeziumSystem))


if __name__ == "__main__":
    typer.run(main)
