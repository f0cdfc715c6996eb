"""`clinicpay up`: from a data directory to a running system, until somebody stops it."""

import asyncio
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from deploy.local import jars, places
from deploy.local.datadir import DataDir
from deploy.local.errors import EmbeddedError
from deploy.local.memory import proportional_bytes
from deploy.local.screen import Screen
from deploy.local.supervisor import Supervisor
from deploy.local.system import Ports, System
from deploy.local.zipkin.server import is_fetched
from services.gateway.settings import DEMO_LOGINS, DEMO_PASSWORD


async def up(
    port: int, data: Path, demo: bool, screen: Screen, kind: type[System] = System, *, traces: bool = False
) -> None:
    """Run everything until SIGINT or SIGTERM. Raises EmbeddedError and others when it cannot.

    kind    which parts there are, where they are not the usual ones
    traces  whether Zipkin shows the traces of everything
    """
    began = time.monotonic()
    system = kind(DataDir(data), Ports.choose(port), demo, traces)
    if system.postgres.moved_to:
        screen.say(f"PostgreSQL does not run as root, so its data is in {system.postgres.moved_to}")
    if not (places.cache_dir() / f"kafka-{jars.KAFKA.rsplit(':', 1)[1]}").exists():
        screen.say("First use: downloading PostgreSQL and Kafka from Maven Central, about 60 MB…")
    if traces and not is_fetched():
        screen.say("First use: downloading Zipkin from Maven Central, 131 MB…")
    asked = _asked_to_stop()
    system.keep_addresses()
    supervisor = Supervisor(screen.say)
    system.keep_all(supervisor)
    try:
        async with screen.starting(supervisor.statuses):
            if not await _before(asked, supervisor.all_ready()):
                return
        await _load_demo(system, screen, asked)
        if not asked.is_set():
            _welcome(system, screen, time.monotonic() - began)
            await _before(asked, supervisor.broken())
    finally:
        screen.say("Stopping…")
        await supervisor.stop()
        screen.say("Stopped.")


def _asked_to_stop() -> asyncio.Event:
    asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for which in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(which, asked.set)
    return asked


async def _before(asked: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work to its end, and raise what it raises; False if asked to stop first."""
    doing, stop = asyncio.create_task(work), asyncio.create_task(asked.wait())
    both: set[asyncio.Task[None] | asyncio.Task[bool]] = {doing, stop}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finished = doing.done()
    for task in both:
        task.cancel()
    await asyncio.gather(stop, return_exceptions=True)
    if not finished:
        await asyncio.gather(doing, return_exceptions=True)
        return False
    doing.result()
    return True


async def _load_demo(system: System, screen: Screen, asked: asyncio.Event) -> None:
    """Demo data is a nicety: without it the system runs on."""
    if not system.demo or system.data.demo_loaded.exists():
        return
    screen.say("Loading the demo…")
    try:
        await _before(asked, system.load_demo())
    except EmbeddedError as error:
        screen.say(str(error))


def _welcome(system: System, screen: Screen, seconds: float) -> None:
    memory = proportional_bytes([os.getpid()])
    size = f", {memory / 2**30:.2f} GiB of memory" if memory else ""
    screen.say(f"\nClinicPay is ready ({seconds:.1f} s{size}). Ctrl-C stops it.\n")
    addresses = [
        ("Portal", system.public_url),
        ("Mailbox", system.mailbox_url),
        ("Operators' console", f"{system.console_url}/ops"),
    ]
    addresses += [("Stripe sandbox", system.sandbox_url)] if system.stripe.sandbox else []
    addresses += [("Traces", system.zipkin.url)] if system.traces else []
    screen.facts(
        "Addresses", [*addresses, ("Kafka", system.kafka.bootstrap_servers), ("Logs", str(system.data.logs))]
    )
    # A process that died has another id the next time, so that a list of now would soon be wrong.
    processes = f"ps -axo ppid,pid,args | grep '^ *{os.getpid()} '"
    screen.facts(
        "\nTo watch", [("Process ids", processes), ("Metrics, for Prometheus", str(system.data.scraping))]
    )
    if system.demo:
        logins = [(who, f"{email}   {DEMO_PASSWORD}") for who, email in DEMO_LOGINS.items()]
        screen.facts("\nDemo logins", [*logins, ("Operator API key", system.operator_key)])
    else:
        screen.facts("\nOperator", [("API key", system.operator_key)])
