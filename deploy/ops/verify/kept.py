"""The outcome of a verification in the gateway's database, for the operators' console."""

import json
from typing import Any

from deploy.ops.database import connected
from deploy.ops.verify.report import Report
from services.chassis.ids import new_id

MOST_KEPT = 400
"""More than a year of one a day."""


async def keep(report: Report, dsn: str) -> None:
    """`dsn` is of the gateway's database, as the role `ops`."""
    async with connected(dsn) as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO verify_runs (id, breaches, not_checked, report) VALUES ($1, $2, $3, $4)",
            new_id(),
            len(report.breaches),
            len(report.unread),
            json.dumps(as_json(report)),
        )
        await connection.execute(
            "DELETE FROM verify_runs WHERE id NOT IN (SELECT id FROM verify_runs ORDER BY ended_at DESC LIMIT $1)",
            MOST_KEPT,
        )


def as_json(report: Report) -> dict[str, Any]:
    """Checks with the rows that break them, what waits, and what was not checked."""
    return {
        "checks": [
            {
                "check": result.check,
                "where": result.where,
                "says": result.says,
                "seconds": round(result.seconds, 2),
                "breaches": [breach.words for breach in result.breaches],
            }
            for result in report.results
        ],
        "waiting": [breach.words for breach in report.waiting],
        "not_checked": report.unread,
    }
