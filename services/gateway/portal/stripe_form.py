"""Facts that pages with Stripe's card form need."""

from collections.abc import Mapping
from typing import Any

from contracts import declines
from contracts.consents import Consent
from contracts.declines import NOTHING_TAKEN, Decline
from contracts.http.payments import ConsentIn
from services.gateway.portal.page import PortalPage
from services.gateway.settings import Settings
from services.gateway.upstream.calls import UpstreamError
from services.gateway.upstream.services import Upstreams


async def stripe_context(page: PortalPage, upstreams: Upstreams, settings: Settings) -> dict[str, Any]:
    """The context of pages with Stripe's form: its script, our key, and the clinic's account."""
    account = await upstreams.account(page.caller)
    return {
        "stripe_js_url": str(settings.stripe_js_url),
        "stripe_publishable_key": settings.stripe_publishable_key,
        "stripe_account": account.stripe_account_id,
        "systems": account.systems,
    }


def paying_by_link() -> dict[str, Any]:
    """The same on the page of a pay link, where nobody is logged in."""
    words = f"This page is too old. {NOTHING_TAKEN} Load it again, then try once more."
    return {**paying(), "logged_out": words, "logged_out_next": "Load this page again"}


def paying() -> dict[str, Any]:
    """The words for all that may go wrong with a payment, for the pages' script."""
    nothing = f" {NOTHING_TAKEN}"
    return {
        "codes": _texts({**declines.DECLINES, "": declines.OTHER_DECLINE}, nothing),
        "off_card": _texts({**declines.OFF_CARD, "": declines.OTHER_OFF_CARD}, nothing),
        "unknown": str(declines.UNKNOWN_OUTCOME),
        **_of_ours(nothing),
    }


def saving() -> dict[str, Any]:
    """The words for all that may go wrong when a card is saved, for the pages' script."""
    return {
        "codes": _texts(declines.not_saved(), ""),
        "unknown": str(declines.UNKNOWN_SAVING),
        **_of_ours(""),
    }


def _of_ours(nothing: str) -> dict[str, Any]:
    """Troubles of which each proves that nothing was done. `nothing` says so where money is meant."""
    return {
        "types": _texts(declines.TROUBLE, nothing),
        "incomplete": "Please check your details",
        "not_sent": "Nothing has been sent.",
        "logged_out_next": "Log in again",
        "logged_out": f"You have been logged out.{nothing} Log in again, then try once more.",
        "unreachable": f"We could not reach the payment service.{nothing} Check your connection and try again.",
        "refused": f"This was refused.{nothing} Load this page again, or ask the clinic.",
        "too_many": f"That was too often in a short time.{nothing} Wait a minute, then try again.",
    }


def _texts(reasons: Mapping[str, Decline], nothing: str) -> dict[str, str]:
    """By Stripe's code or type; under "" the reason for every other code."""
    return {code: f"{words}{nothing}" for code, words in reasons.items()}


def check_mark(consent: Consent, mark: str) -> None:
    """Raises 409 `consent_changed` when the page showed another text than this one."""
    if mark != consent.mark:
        words = (
            "The text that you agree to has changed since you opened this page. Nothing was done. "
            "Load this page again and read it."
        )
        raise UpstreamError(409, "consent_changed", words, {"message": words})


def consent_in(consent: Consent) -> ConsentIn:
    return ConsentIn(kind=consent.kind, version=consent.version, locale=consent.locale, text=consent.text)
