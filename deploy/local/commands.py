"""`clinicpay up`: a command of a checkout alone, since it needs what only `deploy/local` holds."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[2]


def register(app: typer.Typer) -> None:
    app.command()(up)


def up(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the portal on 127.0.0.1.")] = 8080,
    data: Annotated[Path, typer.Option(help="Where everything is kept.", show_default=".clinicpay")] = ROOT
    / ".clinicpay",
    no_demo: Annotated[bool, typer.Option("--no-demo", help="Start empty, without demo clinics.")] = False,
    traces: Annotated[
        bool, typer.Option("--traces", help="Show the trace of each request and payment in Zipkin.")
    ] = False,
) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    asyncio.run(_up(port, data, not no_demo, traces))


async def _up(port: int, data: Path, demo: bool, traces: bool) -> None:
    from deploy.local.errors import EmbeddedError
    from deploy.local.screen import Screen
    from deploy.local.up import up as run
    from deploy.ops.database import MigrationFailed
    from deploy.ops.topics import TopicRefused

    code = 0
    try:
        await run(port, data, demo, Screen(), traces=traces)
    except (EmbeddedError, MigrationFailed, TopicRefused) as refusal:
        sys.stderr.write(f"clinicpay: {refusal}\n")
        code = 1
    # All processes are stopped. A download under way in a thread would keep us until it ends.
    sys.stdout.flush()
    os._exit(code)
