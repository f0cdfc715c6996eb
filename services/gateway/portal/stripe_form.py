"""Facts that pages with Stripe's card form need."""

from collections.abc import Mapping
from typing import Any

from contracts import declines
from contracts.declines import Decline
from services.gateway.portal.page import PortalPage
from services.gateway.settings import Settings
from services.gateway.upstream.services import Upstreams


async def stripe_context(page: PortalPage, upstreams: Upstreams, settings: Settings) -> dict[str, Any]:
    """The context of pages with Stripe's form: its script, our key, and the clinic's account."""
    account = await upstreams.account(page.caller)
    return {
        "stripe_js_url": str(settings.stripe_js_url),
        "stripe_publishable_key": settings.stripe_publishable_key,
        "stripe_account": account.stripe_account_id,
    }


def paying() -> dict[str, Any]:
    """The reasons why a payment was not made, for the pages' script."""
    return {
        "codes": _texts({**declines.DECLINES, "": declines.OTHER_DECLINE}),
        "off_card": _texts({**declines.OFF_CARD, "": declines.OTHER_OFF_CARD}),
        "types": _texts(declines.TROUBLE),
        "unknown": str(declines.UNKNOWN_OUTCOME),
        "nothing": " No money was taken.",
    }


def saving() -> dict[str, Any]:
    """The reasons why a card was not saved, for the pages' script."""
    return {
        "codes": _texts(declines.not_saved()),
        "types": _texts(declines.TROUBLE),
        "unknown": str(declines.UNKNOWN_SAVING),
        "nothing": "",
    }


def _texts(reasons: Mapping[str, Decline]) -> dict[str, str]:
    """By Stripe's code or type; under "" the reason for every other code."""
    return {code: str(words) for code, words in reasons.items()}
