"""Credit of a client, read from payment."""

from collections.abc import Awaitable
from typing import TypeVar
from uuid import UUID

from contracts.http.credit import CreditOut, RefundIn, RefundsOut
from contracts.http.held import HeldActsOut, PreviewOut
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.gateway.upstream.calls import UpstreamError, found_or_none
from services.gateway.upstream.services import Upstreams

T = TypeVar("T")


class NothingToRefund(DomainError):
    code = "nothing_to_refund"


NO_CREDIT = CreditOut(balances=[], refundable=[], payments=[], refunds=[])


async def get_credit(upstreams: Upstreams, caller: Caller, client_id: UUID) -> CreditOut:
    """A client's credit; empty for one who is known here and never paid online."""
    await upstreams.client(caller, client_id)
    return await found_or_none(upstreams.client_credit(caller, client_id)) or NO_CREDIT


async def refund_credit(
    upstreams: Upstreams, caller: Caller, refund: RefundIn, key: str
) -> RefundsOut | HeldActsOut:
    """Refund a payment, or a client's credit. Raises `NothingToRefund`."""
    return await _known_to_payment(upstreams, caller, refund, upstreams.refund(caller, refund, key))


async def preview_refund(upstreams: Upstreams, caller: Caller, refund: RefundIn) -> PreviewOut:
    """The effect that the refund would have now. Raises `NothingToRefund`."""
    return await _known_to_payment(upstreams, caller, refund, upstreams.preview_refund(caller, refund))


async def _known_to_payment(upstreams: Upstreams, caller: Caller, refund: RefundIn, call: Awaitable[T]) -> T:
    """Payment knows only clients who have paid online. Raises `NothingToRefund` for another one of the clinic."""
    try:
        return await call
    except UpstreamError as refused:
        if refused.code != "client_not_found" or refund.client_id is None:
            raise
    await upstreams.client(caller, refund.client_id)
    raise NothingToRefund("The client has no credit: nothing was ever paid online.")
