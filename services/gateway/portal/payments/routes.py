"""The payment page, the start of a payment, and its result."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody
from litestar.response import Redirect, Template

from contracts.http.common import Money
from contracts.http.invoices import InvoiceItem
from contracts.http.payments import (
    MOST_INVOICES,
    PayBy,
    PaymentIn,
    PaymentStart,
    ShareIn,
    check_choice,
)
from services.chassis.http.app import json_only
from services.gateway.portal.credit import current as current_credit
from services.gateway.portal.invoices import current, lists
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.portal.payments import choices, starting
from services.gateway.portal.payments import views as payments
from services.gateway.portal.payments.views import USE_CREDIT, ChooseView, Means, PayView
from services.gateway.portal.stripe_form import paying, stripe_context
from services.gateway.settings import Settings
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.bodies import StrictBody
from services.gateway.web.dependencies import InjectedSettings
from services.gateway.web.errors import SCRIPTS

PressKey = Annotated[
    str | None, HeaderParameter(name="Idempotency-Key", required=False, pattern=r"^[\x21-\x7e]{1,200}$")
]
"""The page's key of a press: a press again, after its answer was lost, has the same one."""


class PayInvoices(msgspec.Struct, forbid_unknown_fields=True):
    """The client's choice: the invoices with the amounts shown, or a deposit; the way to pay; whether to save the card.

    `credit` is the part that the client's credit pays; where it pays all, there is no method.
    `consent` is the mark of the text that the page showed, where a debit or a saved card needs one.
    """

    method: PayBy | None = None
    invoices: Annotated[list[ShareIn], msgspec.Meta(max_length=MOST_INVOICES)] = msgspec.field(
        default_factory=list
    )
    deposit: Money | None = None
    credit: Money | None = None
    save: bool = False
    consent: str = ""

    def __post_init__(self) -> None:
        check_choice(self.invoices, self.deposit, self.method, self.credit)


@get("/invoices/{invoice_id:uuid}/pay")
async def payment_page(
    invoice_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    list: FromQuery[str] = "",
    amount: FromQuery[str] = "",
    credit: FromQuery[str] = "",
) -> Template | Redirect:
    """The ways to pay. Without an amount to pay, the invoice; without online payment, how to reach the clinic.

    An amount that cannot be charged can be paid with credit alone, by a client who has as much.

    `amount` is a part of what is due, as the client typed it. `credit` says whether to use the client's.
    """
    found = await current.get_invoice(billing, upstreams, invoice_id)
    row = invoices.row(found, billing.clinic)
    if found.being_checked:
        return Redirect(row.href, status_code=303)
    if row.not_online and not await current_credit.pays_alone(billing, upstreams, found):
        return billing.render("not_payable.html", "payments", row=row)
    if not (row.payable or row.not_online):
        return Redirect(row.href, status_code=303)
    means, unpaid = await asyncio.gather(
        _means(billing, upstreams, credit), current.list_unpaid(billing, upstreams)
    )
    shown = payments.pay(found, means, billing.clinic, amount, lists.read(list).query)
    return await _payment_page(shown, billing, upstreams, settings, unpaid)


async def _means(page: PortalPage, upstreams: Upstreams, credit: str) -> Means:
    kept, held = await asyncio.gather(
        upstreams.saved_methods(page.caller), current_credit.get_usable(page, upstreams)
    )
    return Means(kept, held, use_credit=credit == USE_CREDIT)


@get("/pay")
async def pay_together(
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    invoice: FromQuery[list[str] | None] = None,
    all: FromQuery[str] = "",
    choose: FromQuery[str] = "",
    credit: FromQuery[str] = "",
) -> Template | Redirect:
    """The ways to pay the invoices in the address, or all in a currency. Without, or with an error, the choice alone.

    Where nothing of it is to be paid any more, the list shows what became of it.
    `choose`: a form of the choice sent it, perhaps with none chosen.
    """
    if not billing.clinic.online_payment:
        return Redirect(billing.path("billing"), status_code=303)
    unpaid, clinic = await current.list_unpaid(billing, upstreams), billing.clinic
    if not (invoice or all or choose):
        return _choice(billing, settings, payments.choose(unpaid, clinic))
    means = await _means(billing, upstreams, credit)
    found = (
        choices.all_in(all, unpaid, clinic, means.held)
        if all
        else choices.chosen(invoice or (), unpaid, clinic, means.held)
    )
    if found.error:
        kept = payments.choose(unpaid, clinic, found.error, invoice or (), use_credit=means.use_credit)
        return _choice(billing, settings, kept)
    if not found.invoices:
        return Redirect(billing.path("billing"), status_code=303)
    is_alone = len(found.invoices) == 1 and not (found.more or found.gone)
    shown = (
        replace(payments.pay(found.invoices[0], means, clinic), together=True)
        if is_alone
        else payments.pay_together(found, means, clinic)
    )
    return await _payment_page(shown, billing, upstreams, settings, unpaid)


@get("/deposit")
async def deposit_page(
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    settings: InjectedSettings,
    amount: FromQuery[str] = "",
) -> Template | Redirect:
    """The ways to pay the typed amount before there is an invoice; without one, the question how much."""
    if not (billing.clinic.deposits and billing.clinic.online_payment):
        return Redirect(billing.path("billing"), status_code=303)
    wanted, error = choices.deposit_of(amount, billing.clinic)
    if wanted is None:
        words = payments.deposit_words(billing.clinic)
        return billing.render("deposit.html", "payments", typed=amount, error=error, words=words)
    kept = await upstreams.saved_methods(billing.caller)
    shown = payments.pay_deposit(wanted, amount, kept, billing.clinic)
    return await _payment_page(shown, billing, upstreams, settings)


def _choice(page: PortalPage, settings: Settings, choice: ChooseView) -> Template:
    return page.render(
        "pay.html", "payments", pay=None, choice=choice, stripe_js_url=str(settings.stripe_js_url)
    )


async def _payment_page(
    shown: PayView,
    page: PortalPage,
    upstreams: Upstreams,
    settings: Settings,
    unpaid: Sequence[InvoiceItem] = (),
) -> Template:
    shown = payments.with_choice(shown, unpaid, page.clinic)
    stripe = await stripe_context(page, upstreams, settings)
    return page.render("pay.html", "payments", pay=shown, choice=shown.choice, reasons=paying(), **stripe)


@post(
    "/payments",
    status_code=200,
    before_request=json_only,
    dto=StrictBody,
    return_dto=None,
    opt={SCRIPTS: True},
)
async def start_payment(
    data: JSONBody[PayInvoices],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    key: PressKey = None,
) -> PaymentStart | Response[dict[str, Any]]:
    """Start a payment of the amounts that the page showed. The page's script confirms it with Stripe.

    One by credit alone needs nothing more: it is done with the answer.
    """
    payment = PaymentIn(
        invoices=data.invoices,
        deposit=data.deposit,
        method=data.method,
        credit=data.credit,
        save=data.save,
    )
    return await starting.start(billing, upstreams, payment, data.consent, key)


@get("/payments/{payment_id:uuid}")
async def payment_result(
    payment_id: FromPath[UUID], page: CurrentPage, upstreams: InjectedUpstreams
) -> Template:
    """The payment's result, as the payment service has it from Stripe: parameters in the address prove nothing."""
    payment = await starting.payment_now(page, upstreams, payment_id)
    paid = await asyncio.gather(
        *(upstreams.invoice(page.caller, part.invoice_id) for part in payment.invoices)
    )
    has_surplus = payment.surplus is not None and payment.surplus.minor > 0
    credit = await current_credit.get_credit(page, upstreams) if has_surplus else None
    return page.render(
        "result.html",
        "payments",
        result=payments.result(payment, paid, page.clinic, credit),
        steps=await starting.steps_now(page, upstreams, payment, paid),
    )


payment_routes = [payment_page, pay_together, deposit_page, start_payment, payment_result]
