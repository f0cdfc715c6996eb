"""The clinic and the client that every page of the portal is rendered for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response
from litestar.di import NamedDependency
from litestar.response import Template

from contracts.http.clinics import ClinicOut
from services.chassis.http.auth import Caller
from services.chassis.http.problems import problem
from services.gateway.accounts.dependencies import CurrentCaller, CurrentLogin, CurrentMembership
from services.gateway.accounts.domain import Membership, SignedIn
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.errors import wants_page

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class PortalPage:
    """The clinic and the caller of a page. `several`: the login has more than one membership.

    `person` is the client's name, if the login has several memberships at the clinic: nobody may pay for the wrong one.
    """

    clinic: ClinicOut
    caller: Caller
    several: bool
    person: str = ""

    @property
    def takes_cards(self) -> bool:
        """Whether the clinic takes payments by card in the portal."""
        return self.clinic.online_payment and "card" in self.clinic.methods

    def render(self, template: str, section: str, status: int = 200, **context: Any) -> Template:
        """A page in the clinic's layout; `section` is the current tab."""
        frame = {
            "clinic": self.clinic,
            "several": self.several,
            "person": self.person,
            "section": section,
            "takes_cards": self.takes_cards,
        }
        return Template(template, context={**frame, **context}, status_code=status)

    def path(self, rest: str) -> str:
        """An address in this clinic's portal."""
        return f"/c/{self.clinic.slug}/{rest}"

    def invoice_path(self, invoice_id: UUID) -> str:
        """The page that shows the invoice."""
        return self.path(f"invoices/{invoice_id}")

    def pay_path(self, invoice_id: UUID) -> str:
        """The page that takes a payment of the invoice alone."""
        return f"{self.invoice_path(invoice_id)}/pay"


CurrentPage = NamedDependency[PortalPage]
"""A route's parameter is named `page`, `billing` when it shows bills, or `anyone` when it is for staff too."""


class ForClients(Exception):
    """Staff asked for a page of the clients."""

    def __init__(self, page: PortalPage) -> None:
        self.page = page


class BillingHidden(Exception):
    """The clinic does not show its billing section."""

    def __init__(self, page: PortalPage) -> None:
        self.page = page


async def any_page(
    member: CurrentMembership,
    signed_in: CurrentLogin,
    caller: CurrentCaller,
    upstreams: InjectedUpstreams,
) -> PortalPage:
    """The page of a clinic's client, or of its staff.

    A clinic whose Stripe account cannot take payments shows its bills without online payment.
    """
    clinic = await upstreams.clinic(caller)
    if clinic.online_payment:
        clinic = await as_its_account_can(clinic, upstreams, caller)
    several = len(signed_in.memberships) + len(signed_in.invitations) > 1
    return PortalPage(clinic, caller, several, await _person(member, signed_in, caller, upstreams))


async def client_page(anyone: CurrentPage) -> PortalPage:
    """The page of a clinic's client. Raises `ForClients` for the clinic's staff."""
    if anyone.caller.role == "staff":
        raise ForClients(anyone)
    return anyone


async def _person(member: Membership, signed_in: SignedIn, caller: Caller, upstreams: Upstreams) -> str:
    if member.client_id is None or not signed_in.has_several_at(member.clinic_id):
        return ""
    return (await upstreams.client(caller, member.client_id)).name


async def as_its_account_can(clinic: ClinicOut, upstreams: Upstreams, caller: Caller) -> ClinicOut:
    """The clinic with the ways to pay that its Stripe account can charge.

    With all while payment is unreachable: it refuses later itself.
    """
    account = await upstreams.account_if_known(caller)
    if account is None:
        return clinic
    methods = tuple(way for way in clinic.methods if account.takes(way, clinic.currency))
    takes = account.takes_payments and bool(methods)
    return msgspec.structs.replace(clinic, online_payment=takes, methods=methods)


async def billing_page(page: CurrentPage) -> PortalPage:
    """A page of the billing section. Raises `BillingHidden` when the clinic does not show it."""
    if not page.clinic.billing_shown:
        raise BillingHidden(page)
    return page


def on_for_clients(request: AnyRequest, error: ForClients) -> Template | Response[Any]:
    if not wants_page(request):
        return problem(403, "not_allowed", "Only the clinic's clients can do this here.")
    return error.page.render("staff.html", "staff")


def on_billing_hidden(request: AnyRequest, error: BillingHidden) -> Template | Response[Any]:
    if not wants_page(request):
        words = (
            "The clinic does not show its bills here. Nothing was changed. Please ask the clinic how to pay."
        )
        return problem(409, "billing_hidden", words, message=words)
    return error.page.render("hidden.html", "hidden")


HANDLERS: dict[int | type[Exception], Callable[..., Any]] = {
    ForClients: on_for_clients,
    BillingHidden: on_billing_hidden,
}
