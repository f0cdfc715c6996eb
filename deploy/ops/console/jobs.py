"""Timed jobs of all services, each with its last run, in words."""

import asyncio
from collections.abc import Mapping, Sequence

from deploy.ops.console.sources import PAGE_SECONDS, Sources
from deploy.ops.database import SERVICES, UNREACHABLE
from services.chassis.db.database import Database
from services.chassis.jobs.runs import Run, list_runs

WORDS = {
    "announce_expiring": "Publish which saved cards expire soon",
    "announce_overdue": "Publish which invoices are overdue",
    "delete_old": "Delete rows whose time has passed",
    "delete_old_rows": "Delete ended sessions and links",
    "emails_in_one_form": "Write logins' addresses as they are compared",
    "end_erased": "End the logins of clients who were erased",
    "erase_identities": "Erase names whose time has passed",
    "hand_over_letters": "Hand over e-mails about logins",
    "maintain_inbox": "Make the inbox's next weeks, and drop old ones",
    "queue_reminders": "Queue reminders of unpaid invoices",
    "seal_again": "Seal second factors with the present key",
    "sweep_operations": "Finish or undo changes over several services",
    "sweep_payments": "Ask Stripe about payments that no webhook came for",
}
"""The work of a job, by its name."""

Jobs = Mapping[str, Sequence[Run] | None]
"""By service; None where its database does not answer."""


async def look(sources: Sources) -> Jobs:
    found = await asyncio.gather(*(_of(sources.books[service]) for service in SERVICES))
    return dict(zip(SERVICES, found, strict=True))


async def _of(db: Database) -> list[Run] | None:
    try:
        async with asyncio.timeout(PAGE_SECONDS), db.statements() as connection:
            return await list_runs(connection)
    except UNREACHABLE:
        return None


def process_of(service: str) -> str:
    """The process that runs a service's jobs, as the other pages name it."""
    return "gateway" if service == "gateway" else f"{service}.worker"
