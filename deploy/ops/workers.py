"""The services' databases as their worker roles, for commands that do what a worker does."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from deploy.ops import database
from deploy.ops.verify.access import postgres_port
from deploy.ops.verify.report import CannotCheck

WORKED = ("invoice", "payment", "notification")


def worker_dsns(data: Path | None, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """DSN by service: of a running `clinicpay up`, else from WORKER_DATABASE_URLS (invoice=postgresql://…,…).

    CannotCheck if neither is there.
    """
    if data is None:
        return _given(environment)
    server = f"postgresql://127.0.0.1:{postgres_port(data)}/postgres"
    passwords = json.loads((data / "secrets.json").read_text())["role_passwords"]
    return {
        service: database.role_dsn(
            server, f"{service}_worker", passwords[f"{service}_worker"], database.database_name(service)
        )
        for service in WORKED
    }


def _given(environment: Mapping[str, str]) -> dict[str, str]:
    path, urls = environment.get("WORKER_DATABASE_URLS_FILE"), environment.get("WORKER_DATABASE_URLS")
    if path:
        urls = Path(path).read_text()
    if not urls:
        raise CannotCheck("neither --data nor WORKER_DATABASE_URLS (invoice=postgresql://…,payment=…) given")
    pairs = (entry.strip().partition("=") for entry in urls.split(",") if entry.strip())
    return {name: url for name, _, url in pairs}
