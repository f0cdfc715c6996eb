"""Facts that pages with Stripe's card form need."""

from typing import Any

from contracts.vocabulary import DECLINES, OTHER_DECLINE
from services.gateway.portal.page import PortalPage
from services.gateway.settings import Settings
from services.gateway.upstream.services import Upstreams


async def stripe_context(page: PortalPage, upstreams: Upstreams, settings: Settings) -> dict[str, Any]:
    """The context of pages with Stripe's form: its script, our key, the clinic's account, decline texts."""
    account = await upstreams.account(page.caller)
    return {
        "stripe_js_url": str(settings.stripe_js_url),
        "stripe_publishable_key": settings.stripe_publishable_key,
        "stripe_account": account.stripe_account_id,
        "declines": decline_texts(),
    }


def decline_texts() -> dict[str, str]:
    """The texts for Stripe's decline codes, for the pages' script; under "" the text for every other code."""
    return {code: str(each) for code, each in DECLINES.items()} | {"": str(OTHER_DECLINE)}
