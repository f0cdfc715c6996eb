"""Idempotency keys: the same key with the same body has the same answer, and its effect happens once."""

import hashlib
import re
from uuid import UUID

from services.chassis.db.database import Connection
from services.chassis.db.statements import Statement, execute
from services.chassis.errors import DomainError

_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class BadIdempotencyKey(DomainError):
    code = "idempotency_key_invalid"
    status = 400


class IdempotencyKeyReused(DomainError):
    code = "idempotency_key_reused"
    status = 422


def named(act: str, subject: UUID | None, body: bytes) -> bytes:
    """The body of a request with its act, and with the id in its path if it has one: one key is for one of them."""
    return b" ".join((act.encode(), *([str(subject).encode()] if subject else []), body))


async def claim(tx: Connection, clinic_id: UUID, key: str | None, body: bytes) -> bytes | None:
    """The answer that was given to this key before, or None: then do the work and `keep` its answer.

    A second request with the key waits here until the first one's transaction has ended. Raises
    `BadIdempotencyKey` for a key that is missing or not 1 to 255 visible ASCII characters, and
    `IdempotencyKeyReused` when the body is another one.
    """
    if key is None or not _KEY.fullmatch(key):
        raise BadIdempotencyKey("Send an Idempotency-Key header of 1 to 255 visible ASCII characters.")
    fingerprint = hashlib.sha256(body).digest()
    claimed = await tx.fetchval(
        """
        INSERT INTO idempotency_keys (clinic_id, key, fingerprint) VALUES ($1, $2, $3)
        ON CONFLICT DO NOTHING
        RETURNING true
        """,
        clinic_id,
        key,
        fingerprint,
    )
    return None if claimed else await earlier_answer(tx, clinic_id, key, fingerprint)


async def keep(tx: Connection, clinic_id: UUID, key: str, answer: bytes) -> None:
    """Keep the answer in the transaction of its effect."""
    await execute(tx, keeping(clinic_id, key, answer))


def keeping(clinic_id: UUID, key: str, answer: bytes) -> Statement:
    """The statement that `keep` runs, to be run with others."""
    return Statement(
        "UPDATE idempotency_keys SET answer = $3 WHERE clinic_id = $1 AND key = $2", (clinic_id, key, answer)
    )


async def earlier_answer(tx: Connection, clinic_id: UUID, key: str, fingerprint: bytes) -> bytes:
    row = await tx.fetchrow(
        "SELECT fingerprint, answer FROM idempotency_keys WHERE clinic_id = $1 AND key = $2", clinic_id, key
    )
    assert row is not None and row["answer"] is not None, "a claim is committed only with its answer"
    if row["fingerprint"] != fingerprint:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body. Use a new key.")
    answer: bytes = row["answer"]
    return answer
