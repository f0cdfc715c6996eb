"""A clinic's Stripe account. It is a resource of its own, so that no request writes settings and account at once."""

from uuid import UUID

from litestar import get, put
from litestar.params import FromPath, JSONBody

from contracts.http.accounts import AccountIn, AccountOut
from services.gateway.api.keys.dependencies import CurrentKey, as_operator
from services.gateway.upstream.services import InjectedUpstreams


@get("/clinics/{clinic_id:uuid}/stripe-account", summary="Get a clinic's Stripe account")
async def get_account(clinic_id: FromPath[UUID], key: CurrentKey, upstreams: InjectedUpstreams) -> AccountOut:
    """Operators only. `charged_on` is where the clients' money goes: `none` means that no payment starts.

    While the account cannot take payments, `problem` says why: `no_account`, `no_access` (Stripe refuses us access to
    it), `charges_disabled` (Stripe's reason is `disabled_reason`) or `no_way_to_pay`. Its clinic's clients are then
    offered no online payment. A minute later at the latest it is noticed that the account can again.
    """
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.account(caller)


@put("/clinics/{clinic_id:uuid}/stripe-account", summary="Choose a clinic's Stripe account")
async def put_account(
    clinic_id: FromPath[UUID],
    data: JSONBody[AccountIn],
    key: CurrentKey,
    upstreams: InjectedUpstreams,
) -> AccountOut:
    """Operators only. Payments under way keep the account that they began on.

    `{"stripe_account_id": "acct_…"}` for the clinic's own, `{"platform_account": true}` for the platform's,
    `{"stripe_account_id": null}` for none. 409 `stripe_account_in_use` when another clinic has the account.
    """
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await upstreams.put_account(caller, data)


stripe_account_routes = [get_account, put_account]
