"""The main program of a service's process: `python -m services.<name> <role>`."""

import gc
import sys
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from services.chassis.http import server
from services.chassis.http.scraping import with_metrics
from services.chassis.settings import ProcessSettings, SettingsT, load, shown
from services.chassis.telemetry import logs, metrics
from services.chassis.telemetry import traces as telemetry
from services.chassis.version import VERSION

log = structlog.get_logger()

App = Any


def main(name: str, roles: Mapping[str, Callable[[SettingsT], App]], settings: type[SettingsT]) -> None:
    """Run one role of a service until SIGTERM or SIGINT; requests and batches under way are finished first."""
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role not in roles:
        raise SystemExit(f"usage: python -m services.{name} {'|'.join(roles)}")
    run(name, role, roles[role], settings)


def run(name: str, role: str, app: Callable[[SettingsT], App], settings: type[SettingsT]) -> None:
    """Run one process, its settings read from the environment, until SIGTERM or SIGINT."""
    loaded = load(settings)
    logs.configure(name, role, loaded.log_level)
    log.info("process_starts", version=VERSION, settings=shown(loaded))
    telemetry.configure(name, role, loaded.otel_exporter_otlp_endpoint)
    metrics.configure(name, role, loaded.metrics_endpoint, shown=loaded.metrics_token is not None)
    made = app(loaded)
    serve(
        with_metrics(made, loaded.metrics_token.get_secret_value()) if loaded.metrics_token else made, loaded
    )


GARBAGE_AFTER = 20_000
"""New objects between two looks for cyclic garbage. Python's own 700 are a few events of a batch, most of which live on
until its commit and are looked at again and again."""


def keep_loaded() -> None:
    """Objects loaded by now stay, so the garbage collector goes through them no more, and looks seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 20)


def serve(app: App, settings: ProcessSettings) -> None:
    """Serve until a signal."""
    keep_loaded()
    server.run(app, settings.http_host, settings.http_port, settings.http_limits)
