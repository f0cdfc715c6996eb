"""A command of `clinicpay`, run in the process of the test."""

import asyncio
from typing import Any

from typer.testing import CliRunner

from deploy import cli


async def command(*words: str, **environment: str) -> Any:
    """Its `exit_code`, `stdout`, `stderr` and `output`. An error that it does not report in words is raised.

    The screen is wide unless COLUMNS is given.
    """
    return await asyncio.to_thread(
        CliRunner().invoke, cli.app, words, env={"COLUMNS": "300", **environment}, catch_exceptions=False
    )
