"""The answer to a pay link that does not work: the same calm page, whatever the reason."""

from collections.abc import Callable
from typing import Any

from litestar import Response
from litestar.response import Template

from services.chassis.http import problems
from services.gateway.pay_links.domain import PayLinkEnded
from services.gateway.web.errors import AnyRequest, wants_page

WORDS = "This link does not work any more. No money was taken by this."


def on_pay_link_ended(request: AnyRequest, error: PayLinkEnded) -> Template | Response[Any]:
    if not wants_page(request):
        steps = [{"href": error.portal, "words": "Log in to see the invoice"}]
        return problems.problem(410, "pay_link_ended", WORDS, message=WORDS, next=steps)
    context = {"clinic": error.clinic, "portal": error.portal}
    return Template("pay_link_ended.html", context=context, status_code=410)


HANDLERS: dict[int | type[Exception], Callable[..., Any]] = {PayLinkEnded: on_pay_link_ended}
