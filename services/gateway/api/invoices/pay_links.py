"""Pay links of invoices over the public API: the address that opens one without a login, and its end."""

from uuid import UUID

from litestar import get, post
from litestar.params import FromPath

from contracts import pay_links
from contracts.http.invoices import PayLinkOut
from services.chassis import clock
from services.chassis.errors import DomainError
from services.chassis.locale.formats import Formats
from services.gateway.api.invoices.corrections import INVOICE
from services.gateway.api.invoices.schemas import PayLinkAnswer
from services.gateway.api.keys.dependencies import CurrentKey, at_clinic
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.dependencies import InjectedSettings


class PayLinksOff(DomainError):
    code = "pay_links_off"
    status = 409


@get(f"{INVOICE}/pay-link", summary="Get an invoice's pay link")
async def get_pay_link(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
) -> PayLinkAnswer:
    """An address that shows the invoice to all who have it, takes its payment and gives the receipt, without a login.

    It works to the end of `expires_on` unless it is revoked before; e-mails carry one like it. The audit log keeps
    who asked. 409 `pay_links_off` in a clinic that has switched `pay_links` off.
    """
    caller = at_clinic(key, clinic_id)
    clinic = await upstreams.clinic(caller)
    if not clinic.pay_links:
        raise PayLinksOff("The clinic has switched pay links off.")
    invoice = await upstreams.invoice(caller, invoice_id)
    shown = await upstreams.pay_link(caller, invoice_id)
    links = settings.pay_links
    today = Formats.of(clinic).local(clock.now()).date()
    link = links.new(clinic_id, invoice_id, shown.generation, today, invoice.due_on)
    return PayLinkAnswer(
        invoice_id=invoice_id,
        generation=shown.generation,
        url=f"{settings.public_origin}{pay_links.path(links.token(link))}",
        expires_on=link.expires_on,
    )


@post(f"{INVOICE}/pay-link/revoke", summary="Revoke an invoice's pay links", status_code=200)
async def revoke_pay_links(
    clinic_id: FromPath[UUID],
    invoice_id: FromPath[UUID],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    upstreams: InjectedUpstreams,
) -> PayLinkOut:
    """Ends all links of the invoice that were made so far, the ones in e-mails too. Links made later work.

    A payment that was begun with one of them goes on.
    """
    return await upstreams.revoke_pay_links(at_clinic(key, clinic_id), invoice_id, idempotency_key)


pay_link_routes = [get_pay_link, revoke_pay_links]
