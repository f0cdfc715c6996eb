"""Connected accounts, which are the clinics'; and the platform's own."""

from collections.abc import Mapping
from dataclasses import replace

from deploy.sandbox.errors import Json, invalid, no_such_account
from deploy.sandbox.ids import new_id
from deploy.sandbox.listing import page
from deploy.sandbox.metadata import changed
from deploy.sandbox.routing import Route
from deploy.sandbox.sandbox import PLATFORM, Call

CAPABILITIES = (
    *("bancontact_payments", "card_payments", "eps_payments", "ideal_payments", "p24_payments"),
    *("revolut_pay_payments", "sepa_debit_payments", "transfers", "us_bank_account_ach_payments"),
)
_APPLICATION = {"id": "ca_sandbox", "object": "application", "name": "ClinicPay"}
GIVEN = ("business_type", "country", "default_currency", "email")


def create(call: Call) -> Json:
    given = {name: call.params[name] for name in GIVEN if name in call.params}
    account = shape(call, new_id("acct", 16)) | given
    account["metadata"] = changed({}, call.params.get("metadata"))
    call.store.put(PLATFORM, account)
    return account


def retrieve(call: Call) -> Json:
    return find(call, call.id)


def update(call: Call) -> Json:
    account = find(call, call.id)
    account |= {name: call.params[name] for name in GIVEN if name in call.params}
    account["metadata"] = changed(account["metadata"], call.params.get("metadata"))
    call.store.put(PLATFORM, account)
    replace(call, account=account["id"], events=call.events).emit("account.updated", account, {})
    return account


def delete(call: Call) -> Json:
    """As when its owner takes the access away."""
    account = find(call, call.id)
    revoke(replace(call, account=account["id"], events=call.events), account)
    return {"id": account["id"], "object": "account", "deleted": True}


def retrieve_own(call: Call) -> Json:
    return find(call, call.account)


def list_all(call: Call) -> Json:
    of_platform = replace(call, account=PLATFORM)
    return page(of_platform, "account", "/v1/accounts", lambda account: account["id"] != PLATFORM)


def find(call: Call, id: str) -> Json:
    account = call.store.get(PLATFORM, id)
    if account is None or account["object"] != "account" or call.store.hidden(PLATFORM, id).get("revoked"):
        raise no_such_account(call.sandbox.settings.secret_key, id)
    return account


def switch(call: Call, account: Json, card_payments: str, requirements: Json, **abilities: bool) -> Json:
    """Change what the account may do, and say so in the account's own name; nothing is said if all is as it was."""
    capabilities = account["capabilities"] | {"card_payments": card_payments}
    wanted = abilities | {
        "capabilities": capabilities,
        "requirements": _requirements() | requirements,
    }
    previous = {name: account[name] for name, now in wanted.items() if account[name] != now}
    account |= wanted
    call.store.put(PLATFORM, account)
    if "capabilities" in previous:
        call.emit("capability.updated", _capability(call, account, "card_payments"), {"status": None})
    if previous:
        call.emit("account.updated", account, previous)
    return account


def set_capabilities(call: Call, account: Json, statuses: Mapping[str, str]) -> None:
    """Change capabilities, and send `capability.updated` of each one and `account.updated`."""
    previous = account["capabilities"]
    changed = {name: status for name, status in statuses.items() if previous.get(name) != status}
    if not changed:
        return
    account["capabilities"] = previous | changed
    call.store.put(PLATFORM, account)
    for name in changed:
        call.emit("capability.updated", _capability(call, account, name), {"status": previous.get(name)})
    call.emit("account.updated", account, {"capabilities": previous})


def revoke(call: Call, account: Json) -> Json:
    """Take the platform's access away. The event is of the application, and names the account beside it."""
    call.store.put(PLATFORM, account, {"revoked": True})
    call.emit("account.application.deauthorized", _APPLICATION)
    return account


def authorize(call: Call) -> None:
    """The owner gives the access back."""
    call.emit("account.application.authorized", _APPLICATION)


def check_charges(call: Call) -> None:
    """Refuse to charge on an account that may not."""
    account = call.store.get(PLATFORM, call.account)
    code = call.unsure.no_charges_code or None
    if account and not account["charges_enabled"]:
        raise invalid(
            "This Connect account cannot currently make live charges. The `requirements.disabled_reason` property on "
            "the account will provide information about why this account is currently disabled. Your transaction has "
            "not been processed.",
            code,
        )
    if account and call.unsure.checks_capability and account["capabilities"].get("card_payments") != "active":
        raise invalid(
            "Your account cannot currently make charges without the `card_payments` capability enabled.", code
        )


def _capability(call: Call, account: Json, name: str) -> Json:
    return {
        "id": name,
        "object": "capability",
        "account": account["id"],
        "future_requirements": account["future_requirements"],
        "requested": True,
        "requested_at": call.now,
        "requirements": account["requirements"],
        "status": account["capabilities"][name],
    }


def shape(call: Call, id: str) -> Json:
    return {
        "id": id,
        "object": "account",
        "business_profile": None,
        "business_type": None,
        "capabilities": dict.fromkeys(CAPABILITIES, "active"),
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
    Route("POST", "/v1/accounts/{account}", update),
    Route("DELETE", "/v1/accounts/{account}", delete),
    Route("GET", "/v1/account", retrieve_own),
)
