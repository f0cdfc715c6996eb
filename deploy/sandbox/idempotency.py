"""Stripe's rules for `Idempotency-Key`: per account, parameters compared, every answer of an endpoint that ran kept."""

import hashlib
from dataclasses import dataclass
from urllib.parse import parse_qsl

from deploy.sandbox.errors import StripeError, invalid
from deploy.sandbox.store import Store

KEPT_FOR = 86_400
LONGEST_KEY = 255


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    original: str
    """The request that made the answer; another one than the present when it is replayed."""
    rate_limit: str = "endpoint-rate"
    """Which limit a 429 is about."""


class Keys:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._in_use: set[tuple[str, str]] = set()

    def claim(self, account: str, key: str, fingerprint: bytes, path: str, now: int) -> Answer | None:
        """The answer kept under the key; None: go ahead, and `release` afterwards."""
        if len(key) > LONGEST_KEY:
            raise invalid(f"Idempotency keys may be at most {LONGEST_KEY} characters long.")
        if (account, key) in self._in_use:
            raise in_use(key)
        kept = self._store.kept(account, key)
        if kept and now - kept[0] <= KEPT_FOR:
            return _replay(key, kept, fingerprint, path)
        self._in_use.add((account, key))
        return None

    def keep(self, account: str, key: str, fingerprint: bytes, answer: Answer, now: int) -> None:
        self._store.keep(account, key, now, answer.original, fingerprint, answer.status, answer.body)

    def release(self, account: str, key: str) -> None:
        self._in_use.discard((account, key))


def fingerprint(path: str, body: str) -> bytes:
    """The first eight bytes tell the endpoint, the rest its parameters, whatever their order."""
    parameters = repr(sorted(parse_qsl(body, keep_blank_values=True)))
    return hashlib.sha256(path.encode()).digest()[:8] + hashlib.sha256(parameters.encode()).digest()


def _replay(key: str, kept: tuple[int, str, bytes, int, bytes], fingerprint: bytes, path: str) -> Answer:
    _, request, first, status, body = kept
    if first[:8] != fingerprint[:8]:
        raise _other_use(f"Keys for idempotent requests can only be used for the same endpoint they were first used "
                         f"for ('{path}' is another). Try using a key other than '{key}' if you meant to execute a "
                         "different request.")  # fmt: skip
    if first != fingerprint:
        raise other_parameters(key)
    return Answer(status, body, request)


def other_parameters(key: str) -> StripeError:
    return _other_use(
        "Keys for idempotent requests can only be used with the same parameters they were first used with. Try "
        f"using a key other than '{key}' if you meant to execute a different request."
    )


def _other_use(message: str) -> StripeError:
    return StripeError(400, "idempotency_error", message)


def in_use(key: str) -> StripeError:
    message = (
        "There is currently another in-progress request using this Idempotent Key (that probably means you submitted "
        f"twice, and the other request is still going through): {key}. Please try again later."
    )
    return StripeError(409, "idempotency_error", message, code="idempotency_key_in_use")
