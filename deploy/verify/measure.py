"""How long a verification takes: `python -m deploy.verify.measure 1000000` fills databases of its own with SQL.

Nothing of it is kept, unless `--keep` names a directory: what is in it is measured again the next time.
"""

import argparse
import asyncio
import os
import resource
import time
from pathlib import Path

from deploy import database
from deploy.embedded.postgres import EmbeddedPostgres
from deploy.verify import Access, verify
from deploy.verify.population import populate

SLOWEST = 15


async def measure(count: int, keep: Path | None) -> None:
    async with EmbeddedPostgres(keep and keep / "postgres", durable=False) as postgres:
        filled = keep and keep / f"filled-{count}"
        if not (filled and filled.exists()):
            await _made(postgres, count)
            if filled:
                filled.touch()
        access = Access(database.auditor_dsns(postgres.admin_dsn, database.AUDITOR))
        await _verified(postgres, access)


async def _made(postgres: EmbeddedPostgres, count: int) -> None:
    dsns = await database.bootstrap(postgres.admin_dsn, database.SERVICES, database.test_passwords())
    await database.migrate_all(dsns)
    began = time.monotonic()
    await populate(
        {
            service: database.with_database(postgres.admin_dsn, database.database_name(service))
            for service in database.SERVICES
        },
        count,
    )
    print(f"{count} invoices were made in {time.monotonic() - began:.1f} s", flush=True)


async def _verified(postgres: EmbeddedPostgres, access: Access) -> None:
    began, ours, theirs = time.monotonic(), _own_seconds(), _server_seconds(postgres)
    report = await verify(access, wait=0)
    for result in sorted(report.results, key=lambda result: -result.seconds)[:SLOWEST]:
        print(f"{result.seconds:6.1f} s  {result.check}")
    took, here = time.monotonic() - began, _own_seconds() - ours
    there = _server_seconds(postgres) - theirs
    print(f"verified in {took:.1f} s, {here:.1f} s of CPU here, {there:.1f} s of PostgreSQL's: {report}")


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _server_seconds(postgres: EmbeddedPostgres) -> float:
    """CPU of the server and of its processes that have ended."""
    fields = Path(f"/proc/{postgres.child.pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    given = argparse.ArgumentParser(prog="deploy.verify.measure")
    given.add_argument("count", type=int)
    given.add_argument("--keep", type=Path)
    asyncio.run(measure(**vars(given.parse_args())))
