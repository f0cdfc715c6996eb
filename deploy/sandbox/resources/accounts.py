"""Connected accounts, which are the clinics'; and the platform's own."""

from dataclasses import replace

from deploy.sandbox.errors import Json, invalid, no_such_account
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import PLATFORM, Call

GIVEN = ("business_type", "country", "default_currency", "email")


def create(call: Call) -> Json:
    given = {name: call.params[name] for name in GIVEN if name in call.params}
    account = shape(call, new_id("acct", 16)) | given
    account["metadata"] = changed({}, call.params.get("metadata"))
    call.store.put(PLATFORM, account)
    return account


def retrieve(call: Call) -> Json:
    return find(call, call.id)


def retrieve_own(call: Call) -> Json:
    return find(call, call.account)


def list_all(call: Call) -> Json:
    answer = page(replace(call, account=PLATFORM), "account", "/v1/accounts")
    return answer | {"data": [account for account in answer["data"] if account["id"] != PLATFORM]}


def find(call: Call, id: str) -> Json:
    account = call.store.get(PLATFORM, id)
    if account is None or account["object"] != "account":
        raise no_such_account(call.sandbox.settings.secret_key, id)
    return account


def switch(call: Call, account: Json, **abilities: bool) -> Json:
    """Change what the account may do, such as `charges_enabled`, and say so in the account's own name."""
    previous = {name: account[name] for name, now in abilities.items() if account[name] != now}
    account |= abilities
    call.store.put(PLATFORM, account)
    call.emit("account.updated", account, previous)
    return account


def revoke(call: Call, account: Json) -> Json:
    """Take the platform's access away. The event is of the application, and names the account beside it."""
    call.store.put(PLATFORM, account, {"revoked": True})
    call.emit(
        "account.application.deauthorized", {"id": "ca_sandbox", "object": "application", "name": "ClinicPay"}
    )
    return account


def check_charges(call: Call) -> None:
    """Refuse to charge on an account that may not. Stripe names no code."""
    account = call.store.get(PLATFORM, call.account)
    if account and not account["charges_enabled"]:
        raise invalid(
            "This Connect account cannot currently make charges. The `requirements.disabled_reason` property on the "
            "account will provide information about why this account is currently disabled. Your transaction has not "
            "been processed."
        )


def shape(call: Call, id: str) -> Json:
    return {
        "id": id,
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "capabilities": {"card_payments": "active", "transfers": "active"},
        "charges_enabled": True,
        "controller": {"type": "application" if id == PLATFORM else "account"},
        "country": "IE",
        "created": call.now,
        "default_currency": "eur",
        "details_submitted": True,
        "email": None,
        "external_accounts": {
            "object": "list",
            "data": [],
            "has_more": False,
            "url": f"/v1/accounts/{id}/external_accounts",
        },
        "future_requirements": _requirements(),
        "metadata": {},
        "payouts_enabled": True,
        "requirements": _requirements(),
        "tos_acceptance": {"date": None, "ip": None, "user_agent": None},
        "type": "standard",
    }


def _requirements() -> Json:
    lists = ("alternatives", "currently_due", "errors", "eventually_due", "past_due", "pending_verification")
    return {"current_deadline": None, "disabled_reason": None} | {name: [] for name in lists}


ROUTES = (
    Route("POST", "/v1/accounts", create),
    Route("GET", "/v1/accounts", list_all),
    Route("GET", "/v1/accounts/{account}", retrieve),
    Route("GET", "/v1/account", retrieve_own),
)
