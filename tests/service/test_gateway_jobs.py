"""The gateway's background jobs run again after any error."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from services.chassis import incidents
from services.gateway import jobs
from tests.running.databases import ServiceDb
from tests.running.gateway import a_site


@pytest.mark.parametrize(
    ("pause", "table", "job"),
    [
        ("SWEEP_SECONDS", "second_factors", "seal_again"),
        ("SWEEP_SECONDS", "sessions", "delete_old_rows"),
        ("OPERATIONS_SECONDS", "operations", "sweep_operations"),
        ("LETTERS_SECONDS", "reset_requests", "hand_over_letters"),
    ],
)
async def test_a_job_runs_again_after_an_error_that_it_does_not_expect(
    db_gateway: ServiceDb, monkeypatch: pytest.MonkeyPatch, pause: str, table: str, job: str
) -> None:
    monkeypatch.setattr(incidents, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(jobs, pause, 0.01)
    await db_gateway.admin.execute(f"ALTER TABLE {table} RENAME TO away")
    with capture_logs() as told:
        async with a_site(db_gateway):
            begun = await _told(told, "job_failed_begins", job)
            await db_gateway.admin.execute(f"ALTER TABLE away RENAME TO {table}")
            await _told(told, "job_failed_ends", job)

    assert begun["reason"] == "UndefinedTableError"


async def _told(told: list[Any], event: str, part: str) -> Any:
    """The line of this event about this part, once it is told."""
    async with asyncio.timeout(20):
        while True:
            for line in told:
                if line["event"] == event and line.get("part") == part:
                    return line
            await asyncio.sleep(0.01)
