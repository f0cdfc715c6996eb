"""`python -m tests.frozen [subject ...]` writes the files of the frozen picture again, as today's system is."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack

from deploy.local.postgres import EmbeddedPostgres
from deploy.ops import database
from tests.frozen.subjects import ALL
from tests.running.databases import fresh_database


async def write(names: Sequence[str]) -> None:
    async with EmbeddedPostgres(durable=False) as server, AsyncExitStack() as stack:
        roles = await database.bootstrap(server.admin_dsn, database.SERVICES, database.test_passwords())
        dbs = {
            service: await stack.enter_async_context(fresh_database(service, server.admin_dsn, roles))
            for service in database.SERVICES
        }
        for name in names:
            await ALL[name].write(dbs)
            sys.stdout.write(f"{ALL[name].path.name}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.frozen", description=__doc__)
    parser.add_argument("subjects", nargs="*", help=f"of {', '.join(ALL)}; without, all of them")
    chosen = parser.parse_args().subjects or list(ALL)
    if unknown := set(chosen) - set(ALL):
        sys.exit(f"no subject: {', '.join(sorted(unknown))}; there are {', '.join(ALL)}")
    asyncio.run(write(chosen))
