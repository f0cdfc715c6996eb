"""The pages behind a pay link: the invoice with its form or its state, the start of a payment, and its result."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.di import Provide
from litestar.params import FromPath, JSONBody
from litestar.response import Redirect, Template

from contracts.http.payments import PayByCard, PayByDebit, PayByRedirect, PaymentIn, PaymentStart, ShareIn
from services.chassis.http.app import json_only
from services.gateway.pay_links.dependencies import payment_of
from services.gateway.portal.invoices import current
from services.gateway.portal.invoices import views as invoices
from services.gateway.portal.links import views as links
from services.gateway.portal.links.page import CurrentLinkPage, LinkPage, link_page
from services.gateway.portal.payments import refusals, starting
from services.gateway.portal.payments import views as payments
from services.gateway.portal.stripe_form import paying_by_link, stripe_context
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.bodies import StrictBody
from services.gateway.web.dependencies import InjectedSettings
from services.gateway.web.errors import SCRIPTS
from services.gateway.web.heads import readable


class PayByLink(msgspec.Struct, forbid_unknown_fields=True):
    """The payer's choice: the invoice with the amount shown, and the way to pay. Nothing is saved, no credit is used.

    `consent` is the mark of the text that the page showed, where a debit needs one.
    """

    method: PayByCard | PayByRedirect | PayByDebit
    invoices: Annotated[list[ShareIn], msgspec.Meta(min_length=1, max_length=1)]
    consent: str = ""


@readable("/")
async def invoice_page(
    page: CurrentLinkPage, upstreams: InjectedUpstreams, settings: InjectedSettings
) -> Template:
    """The invoice with the form that pays it; or its state, and the receipts. Changes nothing."""
    found = await current.as_known(page.link.invoice, page, upstreams)
    if invoices.payable(found, page.clinic):
        shown = links.shown(found, page.clinic, page.link.path)
        pay = payments.pay_by_link(found, page.clinic, page.link.path)
        stripe = await stripe_context(page, upstreams, settings)
        return page.show("link.html", shown=shown, pay=pay, reasons=paying_by_link(), **stripe)
    paid = await _receipts(page, upstreams) if found.settled.minor else []
    return page.show("link.html", shown=links.shown(found, page.clinic, page.link.path, paid), pay=None)


async def _receipts(page: LinkPage, upstreams: Upstreams) -> list[Any]:
    """The payments that have paid this invoice alone; none while payment is unreachable."""
    try:
        found = await upstreams.payments(page.caller, page.link.invoice.id)
    except UpstreamError:
        return []
    return [each for each in found.items if each.status == "succeeded" and page.link.opens(each)]


@post(
    "/payments",
    status_code=200,
    before_request=json_only,
    dto=StrictBody,
    return_dto=None,
    opt={SCRIPTS: True},
)
async def start_payment(
    data: JSONBody[PayByLink], page: CurrentLinkPage, upstreams: InjectedUpstreams
) -> PaymentStart | Response[dict[str, Any]]:
    """Start a payment of all that is due on the link's invoice. The page's script confirms it with Stripe."""
    [share] = data.invoices
    invoice = page.link.invoice
    if share.invoice_id != invoice.id:
        error = UpstreamError(404, "payable_not_found", "The link opens another invoice.", {})
        return refusals.response(error, page, [invoice.id])
    if share.amount != invoice.due and invoices.is_due(invoice):
        due = {"invoice_id": str(invoice.id), "open": msgspec.to_builtins(invoice.due)}
        error = UpstreamError(409, "amount_changed", "A link pays the whole invoice.", due)
        return refusals.response(error, page, [invoice.id])
    payment = PaymentIn(invoices=data.invoices, method=data.method)
    return await starting.start(page, upstreams, payment, data.consent)


@get("/payments/{payment_id:uuid}")
async def payment_result(
    payment_id: FromPath[UUID], page: CurrentLinkPage, upstreams: InjectedUpstreams
) -> Template | Redirect:
    """The payment's result, as the payment service has it from Stripe: parameters in the address prove nothing.

    One that is not of the link's invoice alone leads to the invoice.
    """
    if await payment_of(page.link, payment_id, upstreams) is None:
        return Redirect(page.link.path, status_code=303)
    payment = await starting.payment_now(page, upstreams, payment_id)
    result = payments.result(payment, [page.link.invoice], page.clinic)
    steps = await starting.steps_now(page, upstreams, payment, [page.link.invoice])
    return page.show("link_result.html", result=result, steps=steps)


link_routes = [
    Router(
        "/pay/{token:str}",
        route_handlers=[invoice_page, start_payment, payment_result],
        dependencies={"page": Provide(link_page)},
    )
]
