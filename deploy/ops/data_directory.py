"""The data directory of a running `clinicpay up`, read for ports, addresses and passwords."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.ops import database
from deploy.ops.verify.report import CannotCheck

STRIPE_ITSELF = "https://api.stripe.com"


@dataclass(frozen=True, slots=True)
class DataDirectory:
    """A data directory on which `clinicpay up` runs. Each method raises CannotCheck where nothing runs on it."""

    path: Path

    def secrets(self) -> dict[str, Any]:
        return self._json("secrets.json")

    def addresses(self) -> dict[str, str]:
        return self._json("addresses.json")

    def reader_dsns(self, role: str) -> dict[str, str]:
        """DSN by service as a role that reaches all databases: the auditor, or `ops`.

        CannotCheck too if the directory is older than the role.
        """
        password = self.secrets()["role_passwords"].get(role)
        if password is None:
            raise CannotCheck(f"{self.path} has no role {role} yet: restart `clinicpay up` on it")
        return database.reader_dsns(self.postgres_server(), password, role)

    def dsn(self, role: str, service: str) -> str:
        """The DSN of a service's database as one of its roles."""
        password = self.secrets()["role_passwords"][role]
        return database.role_dsn(self.postgres_server(), role, password, database.database_name(service))

    def stripe(self, environment: Mapping[str, str]) -> tuple[str, str]:
        """Secret key and address of Stripe's API: the environment's if it has a key, else the sandbox's."""
        if own_key := environment.get("STRIPE_SECRET_KEY"):
            return own_key, environment.get("STRIPE_API_BASE") or STRIPE_ITSELF
        return self.secrets()["sandbox_secret_key"], self.addresses()["sandbox"]

    def postgres_server(self) -> str:
        """The DSN of the PostgreSQL that runs on the directory, without a user."""
        try:
            # Under root PostgreSQL's files may lie elsewhere: `clinicpay up` writes down where.
            cluster = Path(self.addresses()["postgres_cluster"])
            port = int((cluster / "postmaster.pid").read_text().splitlines()[3])
        except (OSError, IndexError, KeyError):
            raise CannotCheck(f"no `clinicpay up` is running on {self.path}") from None
        return f"postgresql://127.0.0.1:{port}/postgres"

    def kafka_servers(self) -> str:
        """The address of the broker that runs on the directory."""
        try:
            lines = (self.path / "kafka" / "server.properties").read_text().splitlines()
        except OSError:
            raise CannotCheck(f"no `clinicpay up` is running on {self.path}") from None
        settings = dict(line.split("=", 1) for line in lines if "=" in line)
        return settings["advertised.listeners"].partition("://")[2]

    def _json(self, name: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self.path / name).read_text())
        except OSError:
            raise CannotCheck(f"{self.path} is not the data directory of a running `clinicpay up`") from None
        return found
