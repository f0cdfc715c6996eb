"""The page behind a pay link: as its client's pages are, but for one invoice, and with addresses of its own."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar.di import NamedDependency
from litestar.response import Template

from services.gateway.pay_links.dependencies import CurrentLink
from services.gateway.pay_links.domain import OpenLink, portal_path
from services.gateway.portal.page import PortalPage, as_its_account_can
from services.gateway.upstream.services import InjectedUpstreams


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkPage(PortalPage):
    """The clinic as its account can charge, the invoice's client as the caller, and the link."""

    link: OpenLink

    def invoice_path(self, invoice_id: UUID) -> str:
        return self.link.path

    def pay_path(self, invoice_id: UUID) -> str:
        return self.link.path

    def show(self, template: str, **context: Any) -> Template:
        """A page in the clinic's layout, without the portal's tabs."""
        portal = portal_path(self.clinic, self.link.invoice)
        return Template(
            template, context={"clinic": self.clinic, "here": self.link.path, "portal": portal, **context}
        )


CurrentLinkPage = NamedDependency[LinkPage]
"""A route's parameter is named `page`."""


async def link_page(link: CurrentLink, upstreams: InjectedUpstreams) -> LinkPage:
    clinic = link.clinic
    if clinic.online_payment:
        clinic = await as_its_account_can(clinic, upstreams, link.caller)
    return LinkPage(clinic=clinic, caller=link.caller, several=False, link=link)
