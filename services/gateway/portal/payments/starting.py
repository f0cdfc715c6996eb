"""Start a payment from a page, and read it: the same for pages behind a login and for pay links."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response

from contracts import consents
from contracts.http.invoices import InvoiceItem, InvoiceOut
from contracts.http.payments import PayByDebit, PaymentIn, PaymentOut, PaymentStart
from contracts.vocabulary import DEBIT_TYPES
from services.chassis import clock
from services.gateway.portal.invoices import current
from services.gateway.portal.page import PortalPage
from services.gateway.portal.payments import refusals, steps, views
from services.gateway.portal.payments.steps import Steps
from services.gateway.portal.stripe_form import check_mark, consent_in
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams

STRIPE_SECONDS = 4.0
"""How long the result waits for Stripe. After that the page asks again by itself."""
RECEIPT_SECONDS = 1.0


async def start(
    page: PortalPage, upstreams: Upstreams, payment: PaymentIn, mark: str = "", key: str | None = None
) -> PaymentStart | Response[dict[str, Any]]:
    """Start the payment, with the consent that the client gave if it needs one; or the refusal for the page's script.

    `mark` is of the text that the page showed. `key` is the page's of a press.
    """
    wanted = [share.invoice_id for share in payment.invoices]
    try:
        agreed = _with_consent(payment, mark, page)
        await _refuse_while_checked(wanted, page, upstreams)
        return await upstreams.start_payment(page.caller, agreed, key)
    except UpstreamError as error:
        return refusals.response(error, page, wanted, by_credit=payment.method is None)


async def payment_now(page: PortalPage, upstreams: Upstreams, payment_id: UUID) -> PaymentOut:
    """The payment, if possible as Stripe knows it now."""
    try:
        async with asyncio.timeout(STRIPE_SECONDS):
            return await upstreams.payment_at_stripe(page.caller, payment_id)
    except TimeoutError:
        return await upstreams.payment(page.caller, payment_id)


async def steps_now(
    page: PortalPage, upstreams: Upstreams, payment: PaymentOut, paid: Sequence[InvoiceOut]
) -> Steps:
    """The payment's steps, with its receipt's if notification answers soon."""
    receipt = None
    if payment.status == "succeeded":
        with suppress(UpstreamError, TimeoutError):
            async with asyncio.timeout(RECEIPT_SECONDS):
                receipt = await upstreams.receipt(page.caller, payment.id)
    return steps.steps(payment, paid, receipt, views.formats(paid, page.clinic), clock.now())


def _with_consent(payment: PaymentIn, mark: str, page: PortalPage) -> PaymentIn:
    """The payment with the consent that it needs, if any. Raises 409 `consent_changed` for another text."""
    currency = (payment.deposit or payment.invoices[0].amount).currency
    if isinstance(payment.method, PayByDebit) and currency in DEBIT_TYPES:
        needed = consents.debit(currency, page.clinic.name)
    elif payment.save:
        needed = consents.saving(page.clinic.name)
    else:
        return payment
    check_mark(needed, mark)
    return msgspec.structs.replace(payment, consent=consent_in(needed))


async def _refuse_while_checked(wanted: Sequence[UUID], page: PortalPage, upstreams: Upstreams) -> None:
    """Raise 409 `invoice_being_checked`. If the invoices cannot be read here, payment refuses them."""
    if not wanted:
        return
    try:
        found: Sequence[InvoiceItem] = (
            [await upstreams.invoice(page.caller, wanted[0])]
            if len(wanted) == 1
            else await current.unpaid(page, upstreams)
        )
    except UpstreamError:
        return
    if any(each.being_checked for each in found if each.id in wanted):
        raise UpstreamError(409, "invoice_being_checked", "A payment of this invoice is being checked.", {})
