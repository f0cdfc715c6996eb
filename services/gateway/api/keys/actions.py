"""API keys: make, list, roll with an overlap, revoke; and the keys in the settings.

A key is looked up for each request, so it works in every process as soon as it is made, and in none as soon as it is
revoked.
"""

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog

from services.chassis import audit, texts
from services.chassis.db.database import UNREACHABLE, Connection, Database
from services.chassis.errors import DomainError
from services.chassis.http.auth import Caller
from services.chassis.ids import new_id
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.keys import store
from services.gateway.api.keys.domain import ApiKey, KeyRow
from services.gateway.settings import DEMO_OPERATOR_KEY

log = structlog.get_logger()

_SHOWN = 8


class ApiKeyNotFound(DomainError):
    code = "api_key_not_found"
    status = 404


class ApiKeyAlreadyRolled(DomainError):
    code = "api_key_already_rolled"


class LastOperatorKey(DomainError):
    """The last operator's key: without it, no other one could be made through the API."""

    code = "last_operator_key"


@dataclass(frozen=True, slots=True)
class NewKey:
    id: UUID
    name: str
    secret: str


def hash_of(key: str) -> bytes:
    """The hash of a key. Keys are random and long, so a plain hash is safe."""
    return hashlib.sha256(key.encode()).digest()


async def find(db: Database, key: str) -> ApiKey | None:
    """The working key with this secret. Its use is recorded, at most once a minute."""
    async with db.statements() as connection:
        found = await store.get_api_key(connection, hash_of(key))
    if found is not None and found.use_is_due:
        with suppress(
            *UNREACHABLE
        ):  # a transaction of its own: the use is recorded even if the request fails
            async with db.tx(None, operator=True) as tx:
                await store.note_use(tx, hash_of(key))
    return found


async def make(tx: Connection, caller: Caller, name: str, root_id: UUID | None = None) -> NewKey:
    """A new key for the caller's clinic, or an operator's. Its secret is shown only once. Raises `InvalidText`.

    With `root_id` it is the successor of a key, with the same name.
    """
    if root_id is None:
        name = texts.text(name, "name", least=1, most=200)
    new = NewKey(new_id(), name, f"cpk_{secrets.token_urlsafe(32)}")
    clinic_id = _clinic_of(caller)
    await store.add_api_key(
        tx,
        new.id,
        hash_of(new.secret),
        prefix=new.secret[:_SHOWN],
        name=name,
        clinic_id=clinic_id,
        root_id=root_id,
    )
    made = ("clinic" if clinic_id else "operator", name)
    await audit.record(tx, caller, "create_api_key", new.id, None, made)
    return new


async def list_keys(tx: Connection, caller: Caller) -> list[KeyRow]:
    """The working keys of the caller's clinic, or the operators'."""
    return await store.list_keys(tx, _clinic_of(caller))


async def roll(tx: Connection, caller: Caller, key_id: UUID, overlap: timedelta) -> NewKey:
    """Make a successor of a key, which ends after the overlap. Raises `ApiKeyNotFound`, `ApiKeyAlreadyRolled`."""
    found = await _locked(tx, caller, key_id)
    if found.replaced_by is not None:
        raise ApiKeyAlreadyRolled("This key has a successor already. Roll or revoke that one.")
    new = await make(tx, caller, found.name, await store.root_of(tx, key_id))
    await store.replace_key(tx, key_id, new.id, overlap)
    await audit.record(tx, caller, "roll_api_key", key_id, found.name, (found.name, new.id))
    return new


async def revoke(tx: Connection, caller: Caller, key_id: UUID) -> None:
    """End a key now. Raises `ApiKeyNotFound`, and `LastOperatorKey` where no permanent operator's key would be left."""
    found = await _locked(tx, caller, key_id)
    if found.role == "operator":
        others = [each for each in await store.list_keys(tx, None) if each.id != key_id]
        if not any(each.expires_at is None for each in others):
            raise LastOperatorKey(
                "This is the last operator's key that does not expire. Make or roll one first."
            )
    await _revoke(tx, caller, [key_id])


async def keep_settings_keys(db: Database, keys: Sequence[str], demo: bool) -> None:
    """At every start, add the operators' keys in the settings, and revoke the earlier keys from settings.

    A revoked key stays revoked even if the settings have it: an older process could start last. The demo's key and
    logins are different: they work only in demo mode.
    """
    itself = Caller(audit.INSTALLATION, "operator", audit.INSTALLATION)
    async with db.tx(audit.INSTALLATION, operator=True) as tx:
        await store.lock_operator_keys(tx)
        for key in keys:
            await _keep(tx, itself, key)
        await _mind_demo(tx, itself, demo)
        named = [hash_of(key) for key in keys]
        await store.mark_from_settings(tx, named)
        if gone := await store.settings_keys_to_revoke(tx, named):
            await _revoke(tx, itself, gone)
            log.info("settings_keys_revoked", events=len(gone))
        if keys and not [key for key in named if await store.get_api_key(tx, key)]:
            log.error("settings_keys_are_all_revoked", reason="name another key in BOOTSTRAP_OPERATOR_KEY")


async def _keep(tx: Connection, itself: Caller, key: str) -> None:
    key_id = new_id()
    if await store.add_api_key(
        tx, key_id, hash_of(key), prefix=key[:4], name="bootstrap", clinic_id=None, from_settings=True
    ):
        await audit.record(tx, itself, "create_api_key", key_id, None, ("operator", "bootstrap"))


async def _mind_demo(tx: Connection, itself: Caller, demo: bool) -> None:
    found = await store.get_key_id(tx, hash_of(DEMO_OPERATOR_KEY))
    if found is None:
        return
    key_id, revoked = found
    if demo and revoked:
        await store.restore_key(tx, key_id)
        await audit.record(tx, itself, "restore_demo", key_id, None, "demo")
    elif not demo and not revoked:
        await _revoke(tx, itself, [key_id])
    await store.disable_logins_of(tx, key_id, not demo)


async def _revoke(tx: Connection, caller: Caller, key_ids: Sequence[UUID]) -> None:
    await store.revoke_keys(tx, key_ids)
    for key_id in key_ids:
        await audit.record(tx, caller, "revoke_api_key", key_id, "works", "revoked")


async def _locked(tx: Connection, caller: Caller, key_id: UUID) -> KeyRow:
    """Lock a working key of the caller's clinic, or of operators for a caller without a clinic."""
    await store.lock_operator_keys(tx)
    for each in await store.list_keys(tx, _clinic_of(caller)):
        if each.id == key_id:
            return each
    raise ApiKeyNotFound("There is no such key, or it works no more.")


def _clinic_of(caller: Caller) -> UUID | None:
    return None if caller.clinic == audit.INSTALLATION else caller.clinic


class ApiKeyMade(DomainError):
    code = "api_key_already_made"


async def create_api_key(db: Database, caller: Caller, name: str, request: IdempotentRequest) -> NewKey:
    """A key for the caller's clinic, or an operator's, shown only once. Raises `ApiKeyMade`."""
    async with db.tx(caller.clinic, operator=True) as tx:
        if await request.claim(tx) != "none":
            raise ApiKeyMade(
                "This request has made its key, which is shown once. Use a new Idempotency-Key for another."
            )
        return await make(tx, caller, name)
