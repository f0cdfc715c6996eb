"""Credit of a client, read from payment."""

from uuid import UUID

from contracts.http.credit import CreditOut
from services.chassis.http.auth import Caller
from services.gateway.upstream.calls import found_or_none
from services.gateway.upstream.services import Upstreams

NO_CREDIT = CreditOut(balances=[], refundable=[], payments=[], refunds=[])


async def get_credit(upstreams: Upstreams, caller: Caller, client_id: UUID) -> CreditOut:
    """A client's credit; empty for one who is known here and never paid online."""
    await upstreams.client(caller, client_id)
    return await found_or_none(upstreams.client_credit(caller, client_id)) or NO_CREDIT
