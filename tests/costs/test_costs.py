"""Each hot operation costs what tests/costs.json says, to the statement. `python -m tests.costs` writes it again."""

import json
import os
from pathlib import Path

import pytest

from tests.costs.meter import Cost, differences, metered
from tests.costs.operations import OPERATIONS, Operation, seed
from tests.running.databases import fresh_database

KEPT = Path(__file__).resolve().parents[1] / "costs.json"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)
async def test_a_hot_operation_costs_what_it_did(
    operation: Operation, postgres: str, roles: dict[str, str]
) -> None:
    async with fresh_database(operation.service, postgres, roles) as db:
        await seed(db)
        dsn = db.api_dsn if operation.role == "api" else db.worker_dsn
        async with metered(db, dsn) as meter:
            found = await meter.measure(operation.work(meter))
    if os.environ.get("CLINICPAY_WRITE_COSTS"):
        _keep(operation.name, found)
    kept = json.loads(KEPT.read_text()).get(operation.name, {})
    changed = differences(operation.name, kept, found)
    assert not changed, "\n".join(
        [*changed, "If that is meant: `python -m tests.costs`, in a commit that says why."]
    )


def test_each_cost_that_is_kept_is_of_an_operation() -> None:
    assert set(json.loads(KEPT.read_text())) == {operation.name for operation in OPERATIONS}


def test_one_statement_more_is_seen_and_a_little_more_log_is_not() -> None:
    kept = {"statements": 9, "round_trips": 9, "rows": 5, "wal": 1000, "events": 1, "calls": 40}
    assert differences("x", kept, Cost(9, 9, 5, 1019, 1, 40)) == []
    assert differences("x", kept, Cost(10, 9, 5, 1021, 1, 40)) == [
        "x: statements 9 → 10",
        "x: wal 1000 → 1021",
    ]


def _keep(name: str, cost: Cost) -> None:
    from dataclasses import asdict

    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    names = [each.name for each in OPERATIONS]
    kept = {each: value for each, value in (kept | {name: asdict(cost)}).items() if each in names}
    KEPT.write_text(
        json.dumps(dict(sorted(kept.items(), key=lambda each: names.index(each[0]))), indent=2) + "\n"
    )
