"""API keys over the public API: operators list, make, roll and revoke their own and clinics'."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, RawBody

from contracts.http.common import Request
from services.chassis import audit
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.accounts.dependencies import Asks, Db
from services.gateway.api import key_actions as api_keys
from services.gateway.api.actions import create_api_key
from services.gateway.api.key_store import ApiKey, KeyRow
from services.gateway.api.key_uses import KeyUse
from services.gateway.api.keys import as_operator
from services.gateway.api.schemas import IdempotencyKey, MadeApiKey, NewApiKey
from services.gateway.web.bodies import strictly

Key = NamedDependency[ApiKey]
_MOST_HOURS = int(api_keys.LONGEST_OVERLAP.total_seconds() // 3600)


class Roll(Request, frozen=True, kw_only=True):
    """`overlap_hours`: how long the old key works on. 0: not at all."""

    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=_MOST_HOURS)] = 24


class KeyList(msgspec.Struct):
    items: list[KeyRow]


def _for_operators(key: ApiKey) -> Caller:
    """The operator at no clinic: the keys are the operators' own."""
    return as_operator(key, audit.INSTALLATION)


@get("/api-keys", summary="List operators' API keys")
async def list_operator_keys(key: Key, db: Db) -> KeyList:
    """Operators only. The keys that work, oldest first. `last_used_at` is exact to a minute."""
    return await _list(db, _for_operators(key))


@post("/api-keys", summary="Make an operator's API key")
async def create_operator_key(
    body: RawBody, data: JSONBody[NewApiKey], key: Key, idempotency_key: IdempotencyKey, db: Db
) -> MadeApiKey:
    """Operators only. The key is shown this once: sent again, 409 `api_key_already_made`."""
    new = strictly(body, NewApiKey)
    caller = _for_operators(key)
    use = KeyUse(key, f"operator-key:{idempotency_key}", body)
    return await create_api_key(db, caller, new, use)


@post("/api-keys/{key_id:uuid}/roll", summary="Roll an operator's API key")
async def roll_operator_key(
    body: RawBody, key_id: FromPath[UUID], data: JSONBody[Roll], key: Key, db: Db
) -> MadeApiKey:
    """Operators only. A new key now; the old one works for `overlap_hours` more. 409 `api_key_already_rolled`."""
    return await _roll(db, _for_operators(key), key_id, body)


@delete("/api-keys/{key_id:uuid}", summary="Revoke an operator's API key")
async def revoke_operator_key(key_id: FromPath[UUID], key: Key, db: Db) -> None:
    """Operators only. At once. 409 `last_operator_key` for the last one that does not expire."""
    await _revoke(db, _for_operators(key), key_id)


@get("/clinics/{clinic_id:uuid}/api-keys", summary="List a clinic's API keys")
async def list_clinic_keys(clinic_id: FromPath[UUID], key: Key, db: Db, upstreams: Asks) -> KeyList:
    """Operators only. The keys that work, oldest first. `last_used_at` is exact to a minute."""
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await _list(db, caller)


@post("/clinics/{clinic_id:uuid}/api-keys/{key_id:uuid}/roll", summary="Roll a clinic's API key")
async def roll_clinic_key(
    body: RawBody, clinic_id: FromPath[UUID], key_id: FromPath[UUID], data: JSONBody[Roll], key: Key, db: Db
) -> MadeApiKey:
    """Operators only. A new key now; the old one works for `overlap_hours` more. 409 `api_key_already_rolled`."""
    return await _roll(db, as_operator(key, clinic_id), key_id, body)


@delete("/clinics/{clinic_id:uuid}/api-keys/{key_id:uuid}", summary="Revoke a clinic's API key")
async def revoke_clinic_key(clinic_id: FromPath[UUID], key_id: FromPath[UUID], key: Key, db: Db) -> None:
    """Operators only. At once."""
    await _revoke(db, as_operator(key, clinic_id), key_id)


async def _list(db: Database, caller: Caller) -> KeyList:
    async with db.tx(caller.clinic, operator=True) as tx:
        return KeyList(await api_keys.list_keys(tx, caller))


async def _roll(db: Database, caller: Caller, key_id: UUID, body: bytes) -> MadeApiKey:
    overlap = timedelta(hours=strictly(body, Roll).overlap_hours)
    async with db.tx(caller.clinic, operator=True) as tx:
        made = await api_keys.roll(tx, caller, key_id, overlap)
    return MadeApiKey(made.id, made.name, made.secret)


async def _revoke(db: Database, caller: Caller, key_id: UUID) -> None:
    async with db.tx(caller.clinic, operator=True) as tx:
        await api_keys.revoke(tx, caller, key_id)


key_routes = [
    list_operator_keys,
    create_operator_key,
    roll_operator_key,
    revoke_operator_key,
    list_clinic_keys,
    roll_clinic_key,
    revoke_clinic_key,
]
