"""Operators of the console: invite, log in with password and code, act with a reason.

An operator is made on the command line, by who has the databases' passwords anyway. The invitation is a link: who opens
it chooses a password and sets up an app for codes. One who lost either is invited again.
"""

import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from deploy.ops.console.operators import store
from deploy.ops.console.operators.domain import ABSOLUTE, IDLE, INVITATION_LASTS, Operator
from services.chassis import audit, clock, texts
from services.chassis.db.database import Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.accounts.passwords import Passwords, fault_of, normal_email
from services.gateway.accounts.rate_limits import actions as limits
from services.gateway.accounts.rate_limits.domain import operator_limits
from services.gateway.accounts.sealing import SealBroken, Sealer
from services.gateway.accounts.second_factors.domain import LONGEST_TYPED, WRONG_CODE, new_secret, step_of

log = structlog.get_logger()

LONGEST_REASON = 500
SHORTEST = 14
"""Characters of a password: an operator's opens every clinic."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class WrongLogin(DomainError):
    """Name, password or code is wrong: which one, nobody is told."""

    code = "wrong_login"
    status = 401


class InvitationEnded(DomainError):
    code = "invitation_ended"
    status = 404


class NotAccepted(DomainError):
    """The password cannot be one, or the code is not the app's. `field` names which."""

    code = "not_accepted"
    status = 422


class OperatorUnknown(DomainError):
    code = "operator_unknown"
    status = 404


class OperatorKnown(DomainError):
    code = "operator_known"
    status = 409


class NoReason(DomainError):
    code = "reason_missing"
    status = 422


# On the command line


async def add(tx: Connection, name: str) -> str:
    """A new operator; answers the invitation's token, which is shown this once.

    Raises `OperatorKnown`, `InvalidText`.
    """
    operator = Operator(new_id(), _named(name))
    if not await store.add_operator(tx, operator):
        raise OperatorKnown(f"There is an operator {operator.name}. Invite them again, or remove them.")
    token = await _invite(tx, operator)
    await _note(tx, operator.id, "add_operator", None, operator.name)
    return token


async def invite(tx: Connection, name: str) -> str:
    """Another invitation, for who lost password or phone: neither opens anything any more, and sessions end at once.

    Raises `OperatorUnknown`.
    """
    operator = await _get(tx, name)
    await store.remove_proof(tx, operator.id)
    await store.delete_sessions_of(tx, operator.id)
    token = await _invite(tx, operator)
    await _note(tx, operator.id, "invite_operator", None, operator.name)
    return token


async def remove(tx: Connection, name: str) -> None:
    """Their sessions end at once; what they did stays. Raises `OperatorUnknown`."""
    operator = await _get(tx, name)
    await store.delete_operator(tx, operator.id)
    await _note(tx, operator.id, "remove_operator", operator.name, None)


async def _get(tx: Connection, name: str) -> Operator:
    found = await store.get_operator(tx, normal_email(name))
    if found is None:
        raise OperatorUnknown("There is no operator of this name.")
    return found.operator


async def _invite(tx: Connection, operator: Operator) -> str:
    token = secrets.token_urlsafe(32)
    await store.put_invitation(tx, operator.id, _hashed(token), INVITATION_LASTS)
    return token


def _named(name: str) -> str:
    return texts.text(normal_email(name), "name", least=1, most=200)


# By an invitation


async def invited(db: Database, token: str) -> Operator:
    """Whom the link invites. Raises `InvitationEnded`."""
    async with db.statements() as connection:
        operator = await store.get_invited(connection, _hashed(token)) if _TOKEN.fullmatch(token) else None
    if operator is None:
        raise _ended()
    return operator


def new_setup(sealer: Sealer, operator: Operator) -> tuple[str, str]:
    """A secret for the app, and the same one sealed, which the form sends back: nothing is stored until it is."""
    secret = new_secret()
    return secret, sealer.seal(operator.id, secret).secret.decode()


def opened(sealer: Sealer, operator: Operator, sealed: str) -> str | None:
    """The secret that a form sent back; None for one that was not sealed here, or for another operator."""
    try:
        return sealer.open(operator.id, sealed.encode("utf-8", "replace"))
    except SealBroken:
        return None


async def take(
    db: Database,
    passwords: Passwords,
    sealer: Sealer,
    token: str,
    sealed: str,
    password: str,
    typed: str,
    address: str,
) -> None:
    """The operator has this password and this app from now on, no session of before, and all tries to log in.

    Raises `InvitationEnded`, `NotAccepted`.
    """
    operator = await invited(db, token)
    if fault := fault_of(password, SHORTEST):
        raise NotAccepted(fault, field="password")
    secret = opened(sealer, operator, sealed)
    step = None if secret is None else step_of(secret, typed[:LONGEST_TYPED], clock.now())
    if secret is None or step is None:
        raise NotAccepted(WRONG_CODE, field="code")
    hashed = await passwords.hash(password)
    async with db.worker_tx() as connection:
        if not await store.delete_invitation(connection, _hashed(token)):
            raise _ended()
        await store.put_proof(connection, operator.id, hashed, sealer.seal(operator.id, secret), step)
        await store.delete_sessions_of(connection, operator.id)
        await limits.forget(connection, operator_limits(operator.name, address)[:2])
        await _note(connection, operator.id, "take_invitation", None, operator.name)


# Sessions


async def log_in(
    db: Database, passwords: Passwords, sealer: Sealer, address: str, name: str, password: str, typed: str
) -> str:
    """Begin a session; answers its id. Raises `WrongLogin` and `TooManyTries`."""
    name = normal_email(name)
    limited = operator_limits(name, address)
    await limits.count(db, limited)
    async with db.statements() as connection:
        found = await store.get_operator(connection, name) if name.isprintable() else None
    fits = await passwords.check(found.password_hash if found else None, password)
    if found is None or not fits or not await _accepts(db, sealer, found.operator, found.sealed, typed):
        raise WrongLogin("Name, password or code is not right. A code works once: wait for the next one.")
    await limits.return_tries(db, limited)
    session_id = secrets.token_hex(32)
    async with db.worker_tx() as connection:
        await store.add_session(connection, _hashed(session_id), found.id, IDLE, ABSOLUTE)
        await _note(connection, found.id, "log_in_to_console", None, session_id)
    return session_id


async def _accepts(
    db: Database, sealer: Sealer, operator: Operator, sealed: bytes | None, typed: str
) -> bool:
    """Whether it is a code of the app that was not used before. The present key seals its secret from then on."""
    try:
        secret = sealer.open(operator.id, sealed or b"")
    except SealBroken:
        log.error("operators_secret_unreadable", reason="CONSOLE_KEY lacks the key that sealed it")
        return False
    step = step_of(secret, typed[:LONGEST_TYPED], clock.now())
    if step is None:
        return False
    async with db.statements() as connection:
        return await store.use_step(connection, operator.id, step, sealer.seal(operator.id, secret))


async def of_session(db: Database, session_id: str) -> Operator | None:
    async with db.statements() as connection:
        found = await store.get_session(connection, _hashed(session_id), IDLE)
        if found is None:
            return None
        operator, is_to_renew = found
        if is_to_renew:
            await store.renew_session(connection, _hashed(session_id), IDLE)
    return operator


async def log_out(db: Database, session_id: str) -> None:
    async with db.statements() as connection:
        await store.delete_session(connection, _hashed(session_id))


# Acts


def reason_of(typed: str) -> str:
    """The reason without blanks around it. Raises `NoReason`."""
    try:
        return texts.text(typed, "reason", least=1, most=LONGEST_REASON)
    except texts.InvalidText:
        raise NoReason(f"Say why, in 1 to {LONGEST_REASON} characters that can be printed.") from None


@asynccontextmanager
async def acting(
    db: Database, operator: Operator, action: str, service: str, subject: UUID | int, reason: str
) -> AsyncIterator[None]:
    """Write down who does what and why, then do it inside the block, then write down how it ended.

    The audit log's entry has the subject, and says in its action whether it was refused. Raises `NoReason` before
    anything is done. A `DomainError` from inside is the outcome.
    """
    reason = reason_of(reason)
    act_id = new_id()
    async with db.statements() as connection:
        await store.add_act(connection, act_id, operator, action, service, str(subject), reason)
    outcome, ended = "failed", "failed"
    try:
        yield
        outcome, ended = "done", "done"
    except DomainError as refusal:
        outcome, ended = f"refused: {refusal.code}", "refused"
        raise
    finally:
        subject_id = subject if isinstance(subject, UUID) else UUID(int=subject)
        async with db.worker_tx() as connection:
            await store.end_act(connection, act_id, outcome)
            caller = Caller(operator.id, "operator", audit.INSTALLATION)
            act = (service, str(subject), reason, outcome)
            await audit.record(connection, caller, f"{action}_in_console_{ended}", subject_id, None, act)


async def _note(tx: Connection, operator_id: UUID, action: str, before: object, after: object) -> None:
    caller = Caller(operator_id, "operator", audit.INSTALLATION)
    await audit.record(tx, caller, action, operator_id, before, after)


def _ended() -> InvitationEnded:
    return InvitationEnded("This invitation was taken, replaced by a newer one, or has ended.")


def _hashed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
