"""Stripe's errors, shaped as Stripe shapes them."""

from typing import Any

from deploy.sandbox.unsure import Unsure

Json = dict[str, Any]


class StripeError(Exception):
    """An answer other than 200. `body` is what stands under `error`."""

    def __init__(self, status: int, type: str, message: str, **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.rate_limit = "endpoint-rate"
        """Of a 429: which limit was reached."""
        self.body: Json = {"type": type, "message": message}
        self.body |= {name: value for name, value in fields.items() if value is not None}
        if code := fields.get("code"):
            self.body["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"

    @property
    def keeps_effects(self) -> bool:
        """A declined card leaves a charge and a changed intent behind; a refused request leaves nothing."""
        return self.status == 402


class BadParameter(StripeError):
    """The request never began to execute, so that its answer is not kept under an idempotency key."""

    def __init__(self, message: str, param: str, code: str | None = None) -> None:
        super().__init__(400, "invalid_request_error", message, param=param, code=code)


def invalid(message: str, code: str | None = None, **fields: Any) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code=code, **fields)


def missing(kind: str, id: str, param: str, status: int = 400) -> StripeError:
    """Nothing of that id in this account: 404 when the address names it, 400 when a parameter does."""
    shown = {"payment_method": "PaymentMethod", "setup_intent": "setupintent"}.get(kind, kind)
    message = f"No such {shown}: '{id}'"
    return StripeError(status, "invalid_request_error", message, code="resource_missing", param=param)


def no_such_account(key: str, account: str) -> StripeError:
    message = (
        f"The provided key '{masked(key)}' does not have access to account '{account}' (or that account does not "
        "exist). Application access may have been revoked."
    )
    return StripeError(403, "invalid_request_error", message, code="account_invalid")


def no_permission(key: str, account: str, unsure: Unsure) -> StripeError:
    message = (
        f"The provided key '{masked(key)}' does not have the required permissions for this endpoint on account "
        f"'{account}'."
    )
    return StripeError(403, "invalid_request_error", message, code=unsure.permission_code or None)


def masked(key: str) -> str:
    return f"{key[:7]}{'*' * max(0, len(key) - 11)}{key[-4:]}"
