"""API keys: who calls the public API, and for which clinics."""

from typing import Any
from uuid import UUID

from litestar.connection import ASGIConnection
from litestar.di import NamedDependency
from litestar.types import Scope

from services.chassis.db.database import Database
from services.chassis.errors import DomainError
from services.chassis.http.app import json_only
from services.chassis.http.auth import Caller
from services.chassis.http.problems import AnyRequest
from services.gateway.api.keys import actions
from services.gateway.api.keys.domain import ApiKey
from services.gateway.web import limits

CurrentKey = NamedDependency[ApiKey]


class ApiKeyInvalid(DomainError):
    code = "api_key_invalid"
    status = 401


class OperatorOnly(DomainError):
    code = "operator_only"
    status = 403


class ClinicNotFound(DomainError):
    code = "clinic_not_found"
    status = 404


async def authenticate(request: AnyRequest) -> None:
    """Refuse what is not JSON, then a caller without a valid key, before the body is read.

    Raises `MediaTypeUnsupported`, `ApiKeyInvalid`. OPTIONS is answered by the framework, for any caller.
    """
    await json_only(request)
    if request.method != "OPTIONS":
        request.state.api_key = await _key_of(request, request.app.state.db)


def api_key(request: AnyRequest) -> ApiKey:
    """The caller's key, which `authenticate` has found."""
    found: ApiKey = request.state.api_key
    return found


async def _key_of(request: AnyRequest, db: Database) -> ApiKey:
    """The key of `Authorization: Bearer <api key>`. Raises `ApiKeyInvalid`."""
    key = _shown(request)
    if key is None:
        raise ApiKeyInvalid("Send your API key as `Authorization: Bearer <key>`.")
    found = await actions.find(db, key)
    if found is None:
        await limits.works_not(request.scope)
        raise ApiKeyInvalid("This API key is not known, or works no more.")
    await limits.works(request.scope)
    return found


def hash_shown(scope: Scope) -> str | None:
    """The hash of the key that a request shows, whether it is good or not."""
    key = _shown(ASGIConnection(scope))
    return None if key is None else actions.hash_of(key).hex()


def _shown(connection: ASGIConnection[Any, Any, Any, Any]) -> str | None:
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    return key if scheme.lower() == "bearer" and 10 <= len(key) <= 200 else None


def as_operator(key: ApiKey, clinic_id: UUID | None = None) -> Caller:
    """The operator, at a clinic or at none. Raises `OperatorOnly`."""
    if key.role != "operator":
        raise OperatorOnly("This needs an operator's API key.")
    return Caller(subject=key.id, role="operator", clinic_id=clinic_id)


def at_clinic(key: ApiKey, clinic_id: UUID) -> Caller:
    """The key's owner at a clinic. Another clinic is not found, as if there were none."""
    if key.role == "operator":
        return as_operator(key, clinic_id)
    if key.clinic_id != clinic_id:
        raise ClinicNotFound("There is no such clinic.")
    return Caller(subject=key.id, role="staff", clinic_id=clinic_id)
