"""The dependency that routes behind a pay link name: `link`."""

import asyncio
from uuid import UUID

from litestar.di import NamedDependency
from litestar.params import FromPath

from contracts.http.payments import PaymentOut
from services.chassis import clock
from services.gateway.pay_links import domain
from services.gateway.pay_links.domain import OpenLink, PayLinkEnded
from services.gateway.settings import Settings
from services.gateway.upstream.calls import found_or_none
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.dependencies import InjectedSettings
from services.gateway.web.limits import PerMinute

CurrentLink = NamedDependency[OpenLink]


async def link(
    token: FromPath[str],
    settings: InjectedSettings,
    upstreams: InjectedUpstreams,
    of_invoice: NamedDependency[PerMinute],
) -> OpenLink:
    """The link in the path, with its invoice. Raises `PayLinkEnded`, `TooManyRequestsException`, `UpstreamError`."""
    found = settings.pay_links.read(token)
    if found is None:
        raise PayLinkEnded
    await of_invoice.count(found.invoice_id.hex)
    return await opened(token, settings, upstreams)


async def opened(token: str, settings: Settings, upstreams: Upstreams) -> OpenLink:
    """The same, not counted."""
    found = settings.pay_links.read(token)
    if found is None:
        raise PayLinkEnded
    reader = domain.reader(found)
    clinic, invoice = await asyncio.gather(
        found_or_none(upstreams.clinic(reader)), found_or_none(upstreams.invoice(reader, found.invoice_id))
    )
    if clinic is None:
        raise PayLinkEnded
    portal = domain.portal_path(clinic, invoice)
    if (
        invoice is None
        or domain.is_over(found, clinic, clock.now())
        or not domain.honored(found, clinic, invoice)
    ):
        raise PayLinkEnded(clinic, portal)
    return OpenLink(token, clinic, invoice)


async def payment_of(link: OpenLink, payment_id: UUID, upstreams: Upstreams) -> PaymentOut | None:
    """The payment, if it is of the link's invoice alone."""
    payment = await found_or_none(upstreams.payment(link.caller, payment_id))
    return payment if payment is not None and link.opens(payment) else None
