"""Runs the sandbox: `python -m deploy.sandbox`, told by its environment (see settings.py)."""

import sys

import uvicorn

from deploy.sandbox.app import application
from deploy.sandbox.embedded import KEEP_ALIVE_SECONDS
from deploy.sandbox.settings import MissingSettings, from_environment


def main() -> None:
    try:
        settings = from_environment()
    except MissingSettings as error:
        sys.exit(f"sandbox: {error}")
    if settings.state:
        settings.state.parent.mkdir(parents=True, exist_ok=True)
    serve, _ = application(settings)
    uvicorn.run(
        serve,
        host=settings.host,
        port=settings.port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=3,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        server_header=False,
    )


if __name__ == "__main__":
    main()
