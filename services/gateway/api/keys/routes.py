"""API keys over the public API: operators list, make, roll and revoke their own and clinics'."""

from datetime import timedelta
from uuid import UUID

from litestar import delete, get, post
from litestar.params import FromPath, JSONBody

from services.chassis import audit
from services.chassis.db.database import Database
from services.chassis.http.auth import Caller
from services.gateway.api.idempotency.actions import IdempotentRequest
from services.gateway.api.idempotency.dependencies import BodyFingerprint
from services.gateway.api.keys import actions
from services.gateway.api.keys.dependencies import CurrentKey, as_operator
from services.gateway.api.keys.domain import ApiKey
from services.gateway.api.keys.schemas import KeyList, MadeApiKey, NewApiKey, Roll
from services.gateway.api.schemas import IdempotencyKey
from services.gateway.upstream.services import InjectedUpstreams
from services.gateway.web.dependencies import Db


def _for_operators(key: ApiKey) -> Caller:
    """The operator at no clinic: the keys are the operators' own."""
    return as_operator(key, audit.INSTALLATION)


@get("/api-keys", summary="List operators' API keys")
async def list_operator_keys(key: CurrentKey, db: Db) -> KeyList:
    """Operators only. The keys that work, oldest first. `last_used_at` is exact to a minute."""
    return await _list(db, _for_operators(key))


@post("/api-keys", summary="Make an operator's API key")
async def create_operator_key(
    data: JSONBody[NewApiKey],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    db: Db,
) -> MadeApiKey:
    """Operators only. The key is shown this once: sent again, 409 `api_key_already_made`."""
    caller = _for_operators(key)
    request = IdempotentRequest(key.id, f"operator-key:{idempotency_key}", fingerprint)
    return _shown(await actions.create_api_key(db, caller, data.name, request))


@post("/api-keys/{key_id:uuid}/roll", summary="Roll an operator's API key")
async def roll_operator_key(
    key_id: FromPath[UUID], data: JSONBody[Roll], key: CurrentKey, db: Db
) -> MadeApiKey:
    """Operators only. A new key now; the old one works for `overlap_hours` more. 409 `api_key_already_rolled`."""
    return await _roll(db, _for_operators(key), key_id, data)


@delete("/api-keys/{key_id:uuid}", summary="Revoke an operator's API key")
async def revoke_operator_key(key_id: FromPath[UUID], key: CurrentKey, db: Db) -> None:
    """Operators only. At once. 409 `last_operator_key` for the last one that does not expire."""
    await _revoke(db, _for_operators(key), key_id)


@get("/clinics/{clinic_id:uuid}/api-keys", summary="List a clinic's API keys")
async def list_clinic_keys(
    clinic_id: FromPath[UUID], key: CurrentKey, db: Db, upstreams: InjectedUpstreams
) -> KeyList:
    """Operators only. The keys that work, oldest first. `last_used_at` is exact to a minute."""
    caller = as_operator(key, clinic_id)
    await upstreams.clinic(caller)
    return await _list(db, caller)


@post("/clinics/{clinic_id:uuid}/api-keys/{key_id:uuid}/roll", summary="Roll a clinic's API key")
async def roll_clinic_key(
    clinic_id: FromPath[UUID],
    key_id: FromPath[UUID],
    data: JSONBody[Roll],
    key: CurrentKey,
    db: Db,
) -> MadeApiKey:
    """Operators only. A new key now; the old one works for `overlap_hours` more. 409 `api_key_already_rolled`."""
    return await _roll(db, as_operator(key, clinic_id), key_id, data)


@delete("/clinics/{clinic_id:uuid}/api-keys/{key_id:uuid}", summary="Revoke a clinic's API key")
async def revoke_clinic_key(
    clinic_id: FromPath[UUID], key_id: FromPath[UUID], key: CurrentKey, db: Db
) -> None:
    """Operators only. At once."""
    await _revoke(db, as_operator(key, clinic_id), key_id)


@post("/clinics/{clinic_id:uuid}/api-keys", summary="Make a clinic's API key")
async def create_api_key(
    clinic_id: FromPath[UUID],
    data: JSONBody[NewApiKey],
    key: CurrentKey,
    idempotency_key: IdempotencyKey,
    fingerprint: BodyFingerprint,
    db: Db,
    upstreams: InjectedUpstreams,
) -> MadeApiKey:
    """Operators only. The key reaches this clinic alone and is shown this once: sent again, 409
    `api_key_already_made`.
    """
    caller = as_operator(key, clinic_id)
    request = IdempotentRequest(key.id, f"api-key:{clinic_id}:{idempotency_key}", fingerprint)
    await upstreams.clinic(caller)
    return _shown(await actions.create_api_key(db, caller, data.name, request))


async def _list(db: Database, caller: Caller) -> KeyList:
    async with db.tx(caller.clinic, operator=True) as tx:
        return KeyList(await actions.list_keys(tx, caller))


async def _roll(db: Database, caller: Caller, key_id: UUID, roll: Roll) -> MadeApiKey:
    overlap = timedelta(hours=roll.overlap_hours)
    async with db.tx(caller.clinic, operator=True) as tx:
        made = await actions.roll(tx, caller, key_id, overlap)
    return _shown(made)


def _shown(made: actions.NewKey) -> MadeApiKey:
    return MadeApiKey(made.id, made.name, made.secret)


async def _revoke(db: Database, caller: Caller, key_id: UUID) -> None:
    async with db.tx(caller.clinic, operator=True) as tx:
        await actions.revoke(tx, caller, key_id)


key_routes = [
    list_operator_keys,
    create_operator_key,
    roll_operator_key,
    revoke_operator_key,
    list_clinic_keys,
    roll_clinic_key,
    revoke_clinic_key,
]
