"""The meaning of each of Stripe's answers: one table for all calls to Stripe.

| answer | this call | an earlier call with its key | client is told | ask again |
|---|---|---|---|---|
| `StripeRefused`: 400, other 4xx | did nothing | nothing, or Stripe had repeated it | refused | never |
| `StripeTooSmall`, `StripeTooLarge`: the amount | did nothing | the same | as our own refusal of it | never |
| `StripeGone`: `resource_missing` | did nothing, has no such id here | the same | refused | never |
| `StripeDeclined`: 402 | tried and refused | the same | declined | with a new key |
| `StripeMoved`: `…_unexpected_state` | did nothing | unknown: read | in progress | after reading |
| `AccountRefused`: 403 | did nothing | unknown | clinic is not ready | when it is corrected |
| `KeyRefused`: 401 | did nothing | unknown | clinic is not ready | when it is corrected |
| `StripeBusy`: 429, 409 | did nothing | unknown | busy | soon, same key |
| `KeySpent`: 400 `idempotency_error`, a repeated error | did nothing | exists: read | try again | new key |
| `StripeFailed`: 5xx, 424 | unknown, and kept under the key | unknown: read | try again | new key |
| `StripeUnavailable`: no answer | unknown | unknown | try again | same key, or read |

An intent whose id we have not committed cannot be paid, since its secret was not handed out. So its attempt may be
ended (`ENDS_UNMADE`) without risk to money, whatever is unknown about it. A refund is different: it moves money by
itself, so its credit comes back only when it is proved that nothing was sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import stripe

from services.chassis.errors import DomainError, Unavailable
from services.payment.stripe.limits import AmountTooLarge, AmountTooSmall

_NOT_READY = "The clinic is not ready to take payments online. Nothing was taken. Please ask the clinic."


class StripeRefused(DomainError):
    """Stripe refused for good: nothing was made, and the same call will be refused again."""

    code = "stripe_refused"
    status = 502
    message: ClassVar[str] = "The payment system refused this. Nothing was taken. Please ask the clinic."


class StripeTooSmall(StripeRefused):
    """Less than the account can charge. If the amount is converted, only Stripe knows that limit."""

    code = AmountTooSmall.code
    status = AmountTooSmall.status
    message = AmountTooSmall.message


class StripeTooLarge(StripeRefused):
    """More than the account can charge in this way."""

    code = AmountTooLarge.code
    status = AmountTooLarge.status
    message = AmountTooLarge.message


class StripeGone(StripeRefused):
    """The account has no object of this id in this mode. `param` is Stripe's name for the one that is missing."""

    message = "The payment system does not know this any more. Nothing was taken. Please try again."


class StripeDeclined(StripeRefused):
    """A card was tried and declined. Stripe repeats this answer for a day to the same key."""

    message = "The payment was declined. Nothing was taken. Please try another way to pay."


class StripeMoved(StripeRefused):
    """The object has left the state that the call needs, often because its money has moved."""

    code = "payment_in_progress"
    status = 409
    message = "A payment for this invoice has already gone through or is on its way."


class StripeMisconfigured(Unavailable):
    """Stripe does not accept the key or the account. This call did nothing."""

    code = "stripe_misconfigured"
    message: ClassVar[str] = _NOT_READY
    again: ClassVar[int] = 60


class AccountRefused(StripeMisconfigured):
    """The key has no access to the connected account: it never had, or its owner took it away."""


class KeyRefused(StripeMisconfigured):
    """Our own key is wrong, or lacks a right. This proves nothing about an account."""


class StripeBusy(Unavailable):
    """Too many calls at once, or another call holds the object or the key. This call did nothing."""

    code = "stripe_busy"
    message: ClassVar[str] = "The payment system is busy. Please try again in a moment."
    again: ClassVar[int] = 2


class StripeUnavailable(Unavailable):
    """No answer: the outcome is unknown until the call is repeated."""

    code = "stripe_unavailable"
    message: ClassVar[str] = "The payment system does not answer. You have not been charged twice."
    again: ClassVar[int] = 5


class StripeFailed(StripeUnavailable):
    """Stripe answered with an error of its own, and repeats it to the same key for a day."""


class KeySpent(StripeFailed):
    """An earlier call used up the key, with other parameters or an error. Read its object, then use a new key."""


ENDS_UNMADE = (StripeRefused, StripeMisconfigured)
"""Answers that end an attempt without an intent: a later call would fail too."""

Meaning = type[StripeRefused] | type[StripeMisconfigured] | type[StripeBusy] | type[StripeUnavailable]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer other than success. `status` 0: no answer; `replayed`: Stripe repeated the key's stored answer."""

    status: int
    type: str | None = None
    code: str | None = None
    param: str | None = None
    replayed: bool = False

    @classmethod
    def of(cls, error: stripe.StripeError) -> "Answer":
        about = error.error
        return cls(
            status=error.http_status or 0,
            type=getattr(about, "type", None),
            # The SDK leaves `error.code` empty for a 401, a 403 and a 429.
            code=getattr(about, "code", None),
            param=getattr(about, "param", None),
            replayed=(error.headers or {}).get("idempotent-replayed") == "true",
        )

    @property
    def meaning(self) -> Meaning:
        """The meaning of the answer. Total: an unforeseen answer is an unknown outcome."""
        return next(row.means for row in TABLE if row.matches(self))

    def error(self) -> StripeRefused | Unavailable:
        """The error to raise. Stripe's own text is left out: it may quote the request."""
        means = self.meaning
        if issubclass(means, StripeRefused):
            return means(means.message, stripe_code=self.code, param=self.param)
        fields = {"stripe_code": self.code} if issubclass(means, StripeMisconfigured) else {}
        return means(means.message, retry_after=means.again, **fields)


@dataclass(frozen=True, slots=True)
class Row:
    """The meaning of answers with this status, type and code. None matches any."""

    means: Meaning
    status: Sequence[int] | None = None
    type: str | None = None
    codes: frozenset[str] | None = None
    replayed: bool = False

    def matches(self, answer: Answer) -> bool:
        return (
            (self.status is None or answer.status in self.status)
            and self.type in (None, answer.type)
            and (self.codes is None or answer.code in self.codes)
            and (answer.replayed or not self.replayed)
        )


_MOVED = frozenset(
    {
        "payment_intent_unexpected_state",
        "setup_intent_unexpected_state",
        "intent_invalid_state",
        "charge_already_captured",
        "charge_already_refunded",
    }
)
_KEY_CODES = frozenset({"api_key_expired", "platform_api_key_expired", "secret_key_required"})
TABLE = (
    Row(StripeBusy, codes=frozenset({"idempotency_key_in_use", "lock_timeout", "rate_limit"})),
    Row(StripeBusy, (409, 429)),
    Row(KeySpent, type="idempotency_error"),
    Row(KeySpent, (402, 424, *range(500, 600)), replayed=True),
    Row(KeyRefused, codes=_KEY_CODES),
    Row(KeyRefused, (401,)),
    Row(AccountRefused, (403,), codes=frozenset({"account_invalid"})),
    Row(KeyRefused, (403,)),
    Row(StripeDeclined, (402,)),
    Row(StripeFailed, (424, *range(500, 600))),
    Row(StripeGone, (400, 404), codes=frozenset({"resource_missing"})),
    Row(StripeMoved, (400,), codes=_MOVED),
    Row(StripeTooSmall, (400,), codes=frozenset({"amount_too_small"})),
    Row(StripeTooLarge, (400,), codes=frozenset({"amount_too_large"})),
    Row(StripeRefused, range(400, 500)),
    Row(StripeUnavailable),
)
"""The first row that matches holds."""
