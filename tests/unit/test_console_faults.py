"""The faults on the console's first page: causes first, each once."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deploy.ops.console.faults import faults_of
from deploy.ops.console.health import Health, Part
from deploy.ops.console.jobs import WORDS, Jobs
from services.chassis.jobs.runs import Run

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 9, 1, 12, tzinfo=UTC)
_JOB = re.compile(r'\b(?:every|_again)\(\s*(?:[\w.* ]+,\s*)?"(\w+)"')


def seen(parts: Sequence[Part] = (), jobs: Jobs | None = None) -> list[str]:
    health = Health(NOW, parts, [], [], None, jobs or {})
    return [fault.words for fault in faults_of(health)]


def a_run(ago: timedelta, error: str | None = None) -> Run:
    began = NOW - ago
    return Run("sweep_payments", timedelta(seconds=15), began, began, error, began if error else None, 0, NOW)


def test_stripe_is_named_once_and_a_part_that_lacks_it_alone_is_not() -> None:
    parts = [
        Part("payment.api", "degraded: database, stripe"),
        Part("payment.worker", "degraded: stripe"),
        Part("relay", "ok"),
    ]

    assert seen(parts) == [
        "Stripe does not answer, or refuses: payment.api, payment.worker.",
        "payment.api: degraded: database, stripe.",
    ]
    assert "charged twice" in faults_of(Health(NOW, parts, [], [], None, {}))[0].forward


def test_late_jobs_of_a_process_that_is_away_follow_from_that() -> None:
    jobs: Jobs = {"payment": [a_run(timedelta(hours=1))], "invoice": None}

    assert seen(jobs=jobs) == ["payment.worker: a job has not run when due."]
    assert seen([Part("payment.worker", "away")], jobs) == ["payment.worker: away."]


def test_a_job_that_runs_and_fails_is_named_although_its_process_answers() -> None:
    jobs: Jobs = {"payment": [a_run(timedelta(seconds=10), "OSError")]}

    assert seen([Part("payment.worker", "degraded: stripe")], jobs)[1:] == [
        f"payment.worker: a job has failed for 10 s: {WORDS['sweep_payments']}."
    ]


def test_every_job_has_words_and_every_word_a_job() -> None:
    found = {name for path in (ROOT / "services").rglob("*.py") for name in _JOB.findall(path.read_text())}

    assert found == WORDS.keys()
