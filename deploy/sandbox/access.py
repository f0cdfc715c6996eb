"""Who calls, and for which account."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from deploy.sandbox.errors import Json, StripeError, invalid, masked, no_permission, no_such_account
from deploy.sandbox.sandbox import PLATFORM, Sandbox

VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?(; .*)?")
NO_KEY = (
    "You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth "
    "(e.g. 'Authorization: Bearer YOUR_SECRET_KEY')."
)


@dataclass(frozen=True)
class Caller:
    account: str
    public: bool
    key: str = ""


def identify(sandbox: Sandbox, headers: Mapping[str, str], form: Json) -> Caller:
    """The caller by the key in the header, or, as browsers send it, in the form; takes both names out of the form."""
    key = form.pop("key", None) or _key(headers.get("authorization", ""))
    account = form.pop("_stripe_account", None) or headers.get("stripe-account") or PLATFORM
    if not key:
        raise StripeError(401, "invalid_request_error", NO_KEY)
    settings = sandbox.settings
    if key not in (settings.secret_key, settings.publishable_key, *sandbox.restricted_keys):
        raise StripeError(401, "invalid_request_error", f"Invalid API Key provided: {masked(key)}")
    if not is_account(sandbox, account):
        raise no_such_account(key, account)
    return Caller(account, public=key == settings.publishable_key, key=key)


def check_right(sandbox: Sandbox, caller: Caller, operation: str) -> None:
    """A restricted key has rights to the resources that it names, such as `GET /v1/refunds*`."""
    rights = sandbox.restricted_keys.get(caller.key)
    if rights is not None and not any(fnmatchcase(operation, right) for right in rights):
        raise no_permission(caller.key, caller.account, sandbox.unsure)


def is_account(sandbox: Sandbox, id: str) -> bool:
    """Whether the platform has access to an account of that id: its owner may have revoked it."""
    found = sandbox.store.get(PLATFORM, id)
    if found is None or found["object"] != "account":
        return False
    return not sandbox.store.hidden(PLATFORM, id).get("revoked")


def check_version(header: str | None) -> None:
    """The sandbox answers in one version only, and says which; what makes no sense at all is refused as at Stripe."""
    if header is not None and not VERSION.fullmatch(header):
        raise invalid(f"Invalid Stripe API version: {header}")


def secret_key_required() -> StripeError:
    message = "This API call cannot be made with a publishable API key. Please use a secret API key."
    return StripeError(403, "invalid_request_error", message, code="secret_key_required")


def _key(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
