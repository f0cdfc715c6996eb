"""The payment page, the start of a payment, and its result."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.response import Redirect, Template

from contracts.http.common import Money
from contracts.http.payments import PayBy, PaymentIn, PaymentOut, PaymentStart, ShareIn
from services.chassis.http.app import json_only
from services.gateway.portal.invoices import current
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.invoices.lists import kept_list
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.portal.payments import refusals
from services.gateway.portal.payments import views as payments
from services.gateway.portal.stripe_form import paying, stripe_context
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.bodies import StrictBody
from services.gateway.web.dependencies import InjectedSettings
from services.gateway.web.errors import SCRIPTS

STRIPE_SECONDS = 4.0
"""How long the result waits for Stripe. After that the page asks again by itself."""


class PayInvoice(msgspec.Struct, forbid_unknown_fields=True):
    """The client's choice: the amount shown, the way to pay, and whether to save the card."""

    amount: Money
    method: PayBy
    save: bool = False


@get("/invoices/{invoice_id:uuid}/pay")
async def payment_page(
    invoice_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    list: FromQuery[str] = "",
) -> Template | Redirect:
    """The ways to pay. Without an amount to pay, the invoice; without online payment, how to reach the clinic."""
    found = await current.get_invoice(billing, upstreams, invoice_id)
    row = invoices.row(found, billing.clinic)
    if found.being_checked:
        return Redirect(row.href, status_code=303)
    if row.not_online:
        return billing.render("not_payable.html", "payments", row=row)
    if not row.payable:
        return Redirect(row.href, status_code=303)
    kept = await upstreams.saved_methods(billing.caller)
    stripe = await stripe_context(billing, upstreams, settings)
    shown, here = payments.pay(found, kept, billing.clinic), kept_list(list)
    return billing.render("pay.html", "payments", pay=shown, reasons=paying(), here=here, **stripe)


@post(
    "/invoices/{invoice_id:uuid}/payments",
    status_code=200,
    before_request=json_only,
    dto=StrictBody,
    return_dto=None,
    opt={SCRIPTS: True},
)
async def start_payment(
    invoice_id: FromPath[UUID],
    data: JSONBody[PayInvoice],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
) -> PaymentStart | Response[dict[str, Any]]:
    """Start a payment of the amount that the page showed. The page's script confirms it with Stripe."""
    payment = PaymentIn(
        invoices=[ShareIn(invoice_id=invoice_id, amount=data.amount)], method=data.method, save=data.save
    )
    try:
        await _refuse_while_checked(invoice_id, billing, upstreams)
        return await upstreams.start_payment(billing.caller, payment)
    except UpstreamError as error:
        return refusals.response(error, billing, billing.path(f"invoices/{invoice_id}"))


async def _refuse_while_checked(invoice_id: UUID, page: PortalPage, upstreams: Upstreams) -> None:
    """Raise 409 `invoice_being_checked`. If the invoice cannot be read here, payment refuses it."""
    try:
        found = await upstreams.invoice(page.caller, invoice_id)
    except UpstreamError:
        return
    if found.being_checked:
        raise UpstreamError(409, "invoice_being_checked", "A payment of this invoice is being checked.", {})


@get("/payments/{payment_id:uuid}")
async def payment_result(
    payment_id: FromPath[UUID], page: CurrentPage, upstreams: InjectedUpstreams
) -> Template:
    """The payment's result, as the payment service has it from Stripe: parameters in the address prove nothing."""
    payment = await _payment(page, upstreams, payment_id)
    paid = await asyncio.gather(
        *(upstreams.invoice(page.caller, part.invoice_id) for part in payment.invoices)
    )
    return page.render("result.html", "payments", result=payments.result(payment, paid, page.clinic))


async def _payment(page: PortalPage, upstreams: Upstreams, payment_id: UUID) -> PaymentOut:
    """The payment, if possible as Stripe knows it now."""
    try:
        async with asyncio.timeout(STRIPE_SECONDS):
            return await upstreams.payment_at_stripe(page.caller, payment_id)
    except TimeoutError:
        return await upstreams.payment(page.caller, payment_id)


payment_routes = [payment_page, start_payment, payment_result]
