"""Saved payment methods: list, add, make default, remove."""

from dataclasses import dataclass
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody, URLEncodedBody
from litestar.response import Redirect, Template

from contracts import consents
from contracts.http.methods import LONGEST_NICKNAME, SetupIn, SetupStart
from services.chassis.http.app import json_only
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits import domain
from services.gateway.portal.methods import views as methods
from services.gateway.portal.methods.views import SavedView
from services.gateway.portal.page import CurrentPage, PortalPage
from services.gateway.portal.stripe_form import check_mark, consent_in, saving, stripe_context
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import InjectedUpstreams, Upstreams
from services.gateway.web.bodies import StrictBody
from services.gateway.web.dependencies import Db, InjectedSettings
from services.gateway.web.errors import SCRIPTS

_DONE = {
    "named": "The name of your card has been changed.",
    "removed": "The card has been removed.",
    "default": "Your default card has been changed.",
    "expired": "This card has expired. Choose another one, or add it again with its new date.",
    "gone": "This card is no longer saved here.",
}
_NOT_A_NAME = {
    "invalid_text": f"Write a name on one line, of at most {LONGEST_NICKNAME} characters.",
    "card_number_refused": "This looks like a card number. Write another name: we never keep the number.",
}
MOST_TYPED = 200


@get("/methods")
async def saved_methods(
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    done: FromQuery[str] = "",
    had: FromQuery[int | None] = None,
) -> Template:
    """The client's cards. `had` is how many there were before one was added: the page waits for one more."""
    kept = methods.saved(await upstreams.saved_methods(billing.caller), billing.clinic)
    waiting = had is not None and len(kept) <= had
    message = "Your card has been saved." if had is not None and not waiting else _DONE.get(done, "")
    usable = billing.takes_cards
    return billing.render(
        "methods.html", "payments", methods=kept, waiting=waiting, done=message, usable=usable
    )


@get("/methods/add")
async def add_page(
    billing: CurrentPage, upstreams: InjectedUpstreams, settings: InjectedSettings
) -> Template | Redirect:
    """Stripe's card form, without a payment."""
    if not billing.takes_cards:
        return Redirect(billing.path("methods"), status_code=303)
    had = len(await upstreams.saved_methods(billing.caller))
    stripe = await stripe_context(billing, upstreams, settings)
    agreed = consents.saving(billing.clinic.name)
    return billing.render("add_card.html", "payments", had=had, agreed=agreed, reasons=saving(), **stripe)


@dataclass(frozen=True, slots=True)
class NameForm:
    nickname: str = ""
    _csrf_token: str = ""


class SaveCard(msgspec.Struct, forbid_unknown_fields=True):
    """`consent` is the mark of the text that the page showed."""

    consent: str = ""


@post(
    "/methods/setup",
    status_code=200,
    before_request=json_only,
    dto=StrictBody,
    return_dto=None,
    opt={SCRIPTS: True},
)
async def start_setup(
    data: JSONBody[SaveCard], billing: CurrentPage, upstreams: InjectedUpstreams, db: Db
) -> SetupStart:
    """A SetupIntent for the page's script; 429 after too many, 409 when the clinic takes no cards."""
    if not billing.takes_cards:
        words = "The clinic does not take cards in this portal. Nothing was saved."
        raise UpstreamError(409, "online_payment_off", words, {"message": words})
    await limits.count(db, domain.setup_limits(billing.caller.clinic, billing.caller.subject))
    agreed = consents.saving(billing.clinic.name)
    check_mark(agreed, data.consent)
    return await upstreams.start_setup(billing.caller, SetupIn(consent=consent_in(agreed)))


@post("/methods/{method_id:uuid}/default", status_code=303)
async def make_default(
    method_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Redirect:
    try:
        await upstreams.make_default(billing.caller, method_id)
    except UpstreamError as error:
        if error.code == "payment_method_expired":
            return Redirect(billing.path("methods?done=expired"), status_code=303)
        if error.status != 404:
            raise
        return Redirect(billing.path("methods?done=gone"), status_code=303)
    return Redirect(billing.path("methods?done=default"), status_code=303)


@get("/methods/{method_id:uuid}/name")
async def name_page(
    method_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Template | Redirect:
    """Asks for the client's own name of a card. For a card that is gone, the list."""
    chosen = await _saved(method_id, billing, upstreams)
    if chosen is None:
        return Redirect(billing.path("methods?done=gone"), status_code=303)
    return _name_page(billing, chosen, chosen.nickname)


@post("/methods/{method_id:uuid}/name", status_code=303, request_max_body_size=16 * 1024)
async def give_name(
    method_id: FromPath[UUID],
    billing: CurrentPage,
    upstreams: InjectedUpstreams,
    data: URLEncodedBody[NameForm],
) -> Redirect | Template:
    """Keep the name, or say what is wrong with it beside what was typed."""
    typed = data.nickname[:MOST_TYPED]
    try:
        await upstreams.set_nickname(billing.caller, method_id, typed)
    except UpstreamError as error:
        if error.status == 404:
            return Redirect(billing.path("methods?done=gone"), status_code=303)
        chosen = await _saved(method_id, billing, upstreams)
        if error.code not in _NOT_A_NAME or chosen is None:
            raise
        return _name_page(billing, chosen, typed, _NOT_A_NAME[error.code])
    return Redirect(billing.path("methods?done=named"), status_code=303)


def _name_page(page: PortalPage, method: SavedView, typed: str, error: str = "") -> Template:
    context = {"method": method, "typed": typed, "error": error, "longest": LONGEST_NICKNAME}
    return page.render("name.html", "payments", status=422 if error else 200, **context)


async def _saved(method_id: UUID, page: PortalPage, upstreams: Upstreams) -> SavedView | None:
    kept = methods.saved(await upstreams.saved_methods(page.caller))
    return next((method for method in kept if method.id == str(method_id)), None)


@get("/methods/{method_id:uuid}/remove")
async def remove_page(
    method_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams
) -> Template | Redirect:
    """Asks before a card is removed. For a card that is gone, the list."""
    chosen = await _saved(method_id, billing, upstreams)
    if chosen is None:
        return Redirect(billing.path("methods?done=gone"), status_code=303)
    return billing.render("remove.html", "payments", method=chosen)


@post("/methods/{method_id:uuid}/remove", status_code=303)
async def remove(method_id: FromPath[UUID], billing: CurrentPage, upstreams: InjectedUpstreams) -> Redirect:
    """Remove a card; one that is gone already is removed."""
    try:
        await upstreams.remove_method(billing.caller, method_id)
    except UpstreamError as error:
        if error.status != 404:
            raise
    return Redirect(billing.path("methods?done=removed"), status_code=303)


method_routes = [
    saved_methods,
    add_page,
    start_setup,
    make_default,
    name_page,
    give_name,
    remove_page,
    remove,
]
