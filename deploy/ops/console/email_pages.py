"""E-mails that were given up: why, of which clinic, and once the cause is mended, again."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import post
from litestar.params import FromQuery, URLEncodedBody
from litestar.response import Redirect, Template

from deploy.ops.console.bulk import Chosen, Ended, each_of
from deploy.ops.console.login_pages import Console
from deploy.ops.console.operators.actions import acting, reason_of
from deploy.ops.console.operators.domain import Operator
from deploy.ops.console.page import page
from deploy.ops.console.sessions import CurrentOperator
from deploy.ops.console.sources import Sources
from services.chassis.errors import DomainError
from services.gateway.web.heads import readable
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


@readable("/emails")
async def list_failed(operator: CurrentOperator, sources: Console, done: FromQuery[int] = 0) -> Template:
    return await _page(operator, sources, done=done)


@post("/emails", status_code=303)
async def send_chosen_again(
    data: URLEncodedBody[AgainForm], operator: CurrentOperator, sources: Console
) -> Template | Redirect:
    """Queue the chosen ones again, with all their tries. One that is not given up any more stays as it is."""

    async def act(chosen: str) -> None:
        clinic_id, delivery_id = _key(chosen)
        async with (
            acting(sources.own, operator, "send_email_again", "notification", delivery_id, data.reason),
            sources.workers["notification"].worker_tx() as tx,
        ):
            if not await send_again(tx, clinic_id, delivery_id):
                raise DeliveryUnknown("It is not given up any more, or is not kept.")

    try:
        reason_of(data.reason)
        ended = await each_of(data.chosen, act)
    except DomainError as refusal:
        return await _page(operator, sources, error=refusal.detail)
    if ended.refused:
        return await _page(operator, sources, ended=ended)
    return Redirect(f"/ops/emails?done={ended.done}", status_code=303)


async def _page(
    operator: Operator, sources: Sources, *, done: int = 0, error: str = "", ended: Ended | None = None
) -> Template:
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
        status=422 if error or ended else 200,
        rows=rows,
        most=MOST,
        done=done,
        error=error,
        ended=ended,
    )


def _key(chosen: str) -> tuple[UUID, UUID]:
    clinic_id, _, delivery_id = chosen.partition("/")
    try:
        return UUID(clinic_id), UUID(delivery_id)
    except ValueError:
        raise DeliveryUnknown("There is no such e-mail.") from None


PAGES: list[Any] = [list_failed, send_chosen_again]
