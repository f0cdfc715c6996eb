"""E-mails that were given up: why, of which clinic, and once the cause is mended, again."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import get, post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from deploy.ops.console.login_pages import Console
from deploy.ops.console.operators.actions import acting
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.page import Chosen, chosen_in, page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from services.chassis.errors import DomainError
from services.notification.emails.actions import send_again

MOST = 200


class DeliveryUnknown(DomainError):
    code = "delivery_unknown"
    status = 404


@dataclass(frozen=True, slots=True)
class AgainForm:
    """`chosen` are e-mails as `clinic/id`."""

    reason: str = ""
    chosen: Chosen = ""
    _csrf_token: str = ""


@get("/emails")
async def list_failed(operator: CurrentOperator, sources: Console, done: FromQuery[int] = 0) -> Template:
    return await _page(operator, sources, done=done)


@post("/emails", status_code=303)
async def send_chosen_again(
    data: URLEncodedBody[AgainForm], operator: CurrentOperator, sources: Console
) -> Template | Redirect:
    """Queue the chosen ones again, with all their tries. One that is not given up any more stays as it is."""
    try:
        keys = [_key(each) for each in chosen_in(data.chosen)]
        if not keys:
            return await _page(operator, sources, error="Choose at least one e-mail.")
        for clinic_id, delivery_id in keys:
            async with (
                acting(
                    sources.own, operator, "send_email_again", "notification", str(delivery_id), data.reason
                ),
                sources.workers["notification"].worker_tx() as tx,
            ):
                if not await send_again(tx, clinic_id, delivery_id):
                    raise DeliveryUnknown("It is not given up any more, or is not kept.")
    except DomainError as refusal:
        return await _page(operator, sources, error=refusal.detail)
    return Redirect(f"/ops/emails?done={len(keys)}", status_code=303)


async def _page(operator: Operator, sources: Sources, *, done: int = 0, error: str = "") -> Template:
    async with sources.books["notification"].statements() as connection:
        rows = await connection.fetch(
            """
            SELECT mail.clinic_id, mail.id, clinics.slug, mail.template, mail.client_id, mail.subject_id,
                mail.last_error, mail.attempts, mail.failed_at
            FROM deliveries AS mail LEFT JOIN clinics USING (clinic_id)
            WHERE mail.state = 'failed' ORDER BY mail.failed_at DESC LIMIT $1
            """,
            MOST,
        )
    return page(
        "ops_emails.html",
        "emails",
        operator,
        status=422 if error else 200,
        rows=rows,
        most=MOST,
        done=done,
        error=error,
    )


def _key(chosen: str) -> tuple[UUID, UUID]:
    clinic_id, _, delivery_id = chosen.partition("/")
    try:
        return UUID(clinic_id), UUID(delivery_id)
    except ValueError:
        raise DeliveryUnknown("There is no such e-mail.") from None


PAGES: list[Any] = [list_failed, send_chosen_again]
