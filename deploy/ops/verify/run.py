"""The verification: every check, and a second look at what may only have been on its way."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict
from typing import Any

from deploy.ops.database import UNREACHABLE
from deploy.ops.verify import diff as diff
from deploy.ops.verify import invoice_checks, other_checks, payment_checks, personal, topic_checks
from deploy.ops.verify import stripe_checks as stripe_checks
from deploy.ops.verify.access import Access
from deploy.ops.verify.checks import Check
from deploy.ops.verify.comparisons import COMPARISONS
from deploy.ops.verify.databases import Databases, opened
from deploy.ops.verify.diff import Comparison
from deploy.ops.verify.report import MOST_ROWS, Breach, CannotCheck, Report, Result
from deploy.ops.verify.settle import settle
from services.chassis import audit

INSIDE: tuple[Check, ...] = (*invoice_checks.CHECKS, *payment_checks.CHECKS, *other_checks.CHECKS)
ACROSS = frozenset({*(comparison.name for comparison in COMPARISONS), *stripe_checks.SAYS, personal.NAME})
PARKING = ("invoice", "payment", "notification")
SECOND_LOOK = 1.0

# Materialized, so that it is planned for all rows: for the first fifty PostgreSQL takes plans that begin at once and
# walk indexes, and where nothing is wrong there are no first fifty.
OFFENDING = "WITH offending AS MATERIALIZED ({sql}) SELECT * FROM offending LIMIT {most}"


async def verify(access: Access, *, topics: bool = False, wait: float = 60) -> Report:
    """Check every invariant. CannotCheck when something that must be read cannot be reached.

    topics  read all topics from their beginning too; best while nobody pays, since they are read after the databases.
            What differs may have been on its way: it is read once more
    wait    seconds that events and Stripe's news may still need: what differs between two services is looked at
            again until then. A breach inside one database is one at once.
    """
    deadline = time.monotonic() + wait
    report = Report()
    try:
        report.results += await settle(access, deadline)
        async with opened(access) as databases:
            report.results += await _inside(databases)
            report.results += [await _audit_log(databases, service) for service in databases]
            report.results += await _across(access, databases, ACROSS)
            report.waiting = await _waiting(databases)
            if topics:
                report.results += await _topics(access, databases)
        await _look_again(access, report, deadline)
        if report.broken & topic_checks.SAYS.keys() and time.monotonic() < deadline:
            await _read_topics_again(access, report, deadline)
    except UNREACHABLE as error:
        raise CannotCheck(f"reading stopped: {error}") from error
    return report


async def _inside(databases: Databases) -> list[Result]:
    """Each database's own checks: one after the other, the databases side by side."""
    by_service = [[check for check in INSIDE if check.service == service] for service in databases]
    answers = await asyncio.gather(*(_run_all(databases, checks) for checks in by_service))
    return [result for results in answers for result in results]


async def _run_all(databases: Databases, checks: Sequence[Check]) -> list[Result]:
    return [await _run(databases, check) for check in checks]


async def _run(databases: Databases, check: Check) -> Result:
    began = time.monotonic()
    rows = await databases[check.service].fetch(OFFENDING.format(sql=check.sql, most=MOST_ROWS))
    breaches = tuple(Breach(check.name, dict(row)) for row in rows)
    return Result(check.name, check.service, check.says, breaches, time.monotonic() - began)


async def _audit_log(databases: Databases, service: str) -> Result:
    began, name = time.monotonic(), f"{service}_audit_log_is_whole"
    found = await audit.verify_chain(databases[service])
    breaches = tuple(Breach(name, asdict(breach)) for breach in found[:MOST_ROWS])
    says = "What staff and operators did stands as it was written: nothing changed, taken out or put in"
    return Result(name, service, says, breaches, time.monotonic() - began)


async def _between(databases: Databases, comparison: Comparison) -> Result:
    began = time.monotonic()
    rows = await _first(diff.differing(databases, comparison))
    breaches = tuple(Breach(comparison.name, row) for row in rows)
    return Result(comparison.name, comparison.where, comparison.says, breaches, time.monotonic() - began)


async def _first(rows: AsyncIterator[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async for row in rows:
        found.append(row)
        if len(found) == MOST_ROWS:
            break
    return found


async def _waiting(databases: Databases) -> list[Breach]:
    """The parked events, for somebody to look at."""
    found = []
    for service in PARKING:
        rows = await databases[service].fetch(other_checks.WAITING, MOST_ROWS)
        found += [Breach(f"{service}_parked", dict(row)) for row in rows]
    return found


async def _across(access: Access, databases: Databases, names: frozenset[str]) -> list[Result]:
    """The named checks between services, and between us and Stripe."""
    results = [
        await _between(databases, comparison) for comparison in COMPARISONS if comparison.name in names
    ]
    if personal.NAME in names:
        results.append(await personal.check(databases))
    if access.stripe_secret_key and names & stripe_checks.SAYS.keys():
        results += await stripe_checks.compare(access, databases)
    return results


async def _topics(access: Access, databases: Databases) -> list[Result]:
    if access.kafka is None:
        raise CannotCheck("--topics needs KAFKA_BOOTSTRAP_SERVERS")
    return await topic_checks.compare(access, databases)


async def _look_again(access: Access, report: Report, deadline: float) -> None:
    """Check again where services differ: events may be on their way. It is a breach if they differ at the end."""
    while (differ := report.broken & ACROSS) and time.monotonic() < deadline:
        await asyncio.sleep(min(SECOND_LOOK, max(0, deadline - time.monotonic())))
        settled = await settle(access, deadline)
        async with opened(access) as databases:
            report.replace([*settled, *await _across(access, databases, frozenset(differ))])


async def _read_topics_again(access: Access, report: Report, deadline: float) -> None:
    await asyncio.sleep(min(SECOND_LOOK, max(0, deadline - time.monotonic())))
    settled = await settle(access, deadline)
    async with opened(access) as databases:
        report.replace([*settled, *await _topics(access, databases)])
