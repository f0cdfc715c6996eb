"""How rooms ask Stripe about rows that no webhook came for: a bounded number a run, one call at a time."""

from collections.abc import Awaitable
from datetime import timedelta

import structlog

from services.chassis.errors import DomainError, Unavailable
from services.chassis.incidents import incidents

log = structlog.get_logger()


UNCHECKED_FOR = timedelta(seconds=60)
"""A row is asked about this long after it began, and this often after that."""


MOST_A_RUN = 50
"""With one call after the other, well under the 25 a second that Stripe allows an endpoint."""


async def tolerate(check: Awaitable[None], **what: str) -> None:
    """A row that cannot be asked about now is logged, and does not keep the others from being asked about."""
    try:
        await check
    except Unavailable as error:
        incidents.failed("sweep_unanswered", reason=error.code, **what)
    except DomainError as error:
        log.warning("sweep_failed", reason=error.code, **what)
    else:
        incidents.worked("sweep_unanswered")
